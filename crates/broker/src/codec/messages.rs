//! The messages in which facts are written down. Their field numbers are for ever.

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Record {
    #[prost(uint32, tag = "1")]
    pub(super) version: u32,
    #[prost(uint64, tag = "2")]
    pub(super) at: u64,
    #[prost(message, repeated, tag = "3")]
    pub(super) facts: Vec<FactMsg>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct FactMsg {
    #[prost(
        oneof = "Kind",
        tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22"
    )]
    pub(super) kind: Option<Kind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Kind {
    #[prost(uint64, tag = "1")]
    Led(u64),
    #[prost(message, tag = "2")]
    SessionOpened(SessionMsg),
    #[prost(message, tag = "3")]
    SessionClosed(SessionMsg),
    #[prost(message, tag = "4")]
    Spec(JsonMsg),
    #[prost(message, tag = "5")]
    Terms(TermsMsg),
    #[prost(message, tag = "6")]
    Claimed(ClaimedMsg),
    #[prost(message, tag = "7")]
    Placed(PlacedMsg),
    #[prost(message, tag = "8")]
    Waiting(WaitingMsg),
    #[prost(message, tag = "9")]
    Seen(SeenMsg),
    #[prost(message, tag = "10")]
    Ended(EndedMsg),
    #[prost(message, tag = "11")]
    Ordered(OrderedMsg),
    #[prost(message, tag = "12")]
    Reworded(RewordedMsg),
    #[prost(bytes = "vec", tag = "13")]
    Forgotten(Vec<u8>),
    #[prost(message, tag = "14")]
    NodeJoined(NodeMsg),
    #[prost(message, tag = "15")]
    NodeChanged(NodeMsg),
    #[prost(message, tag = "16")]
    NodeLiveness(NodeMsg),
    #[prost(message, tag = "17")]
    NodeScheduling(NodeMsg),
    #[prost(message, tag = "18")]
    NodeRemoved(NodeMsg),
    #[prost(message, tag = "19")]
    TenantSet(TenantMsg),
    /// Since version 2.
    #[prost(message, tag = "20")]
    Nominated(NominatedMsg),
    /// Since version 2: the id of the task.
    #[prost(bytes = "vec", tag = "21")]
    Passed(Vec<u8>),
    /// Since version 3: the taints as JSON.
    #[prost(message, tag = "22")]
    NodeTainted(NodeMsg),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct NominatedMsg {
    #[prost(fixed64, tag = "1")]
    pub(super) hi: u64,
    #[prost(fixed64, tag = "2")]
    pub(super) lo: u64,
    #[prost(uint32, tag = "3")]
    pub(super) node: u32,
    #[prost(uint32, repeated, tag = "4")]
    pub(super) ports: Vec<u32>,
    #[prost(bytes = "vec", tag = "5")]
    pub(super) victims: Vec<u8>,
    #[prost(uint64, tag = "6")]
    pub(super) deadline: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SessionMsg {
    #[prost(string, tag = "1")]
    pub(super) scheduler: String,
    #[prost(string, tag = "2")]
    pub(super) kind: String,
    #[prost(uint64, tag = "3")]
    pub(super) epoch: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct JsonMsg {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) json: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TermsMsg {
    #[prost(uint64, tag = "1")]
    pub(super) ix: u64,
    #[prost(string, tag = "2")]
    pub(super) scheduler: String,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) json: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ClaimedMsg {
    #[prost(uint64, tag = "1")]
    pub(super) terms: u64,
    #[prost(message, repeated, tag = "2")]
    pub(super) seats: Vec<SeatMsg>,
    /// Since version 2.
    #[prost(uint64, optional, tag = "3")]
    pub(super) gang: Option<u64>,
}

/// A seat.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SeatMsg {
    #[prost(fixed64, tag = "1")]
    pub(super) hi: u64,
    #[prost(fixed64, tag = "2")]
    pub(super) lo: u64,
    #[prost(string, tag = "3")]
    pub(super) name: String,
    #[prost(uint64, tag = "4")]
    pub(super) slot: u64,
    #[prost(bytes = "vec", tag = "5")]
    pub(super) replaces: Vec<u8>,
    #[prost(bytes = "vec", tag = "6")]
    pub(super) pin: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PlacedMsg {
    #[prost(fixed64, tag = "1")]
    pub(super) hi: u64,
    #[prost(fixed64, tag = "2")]
    pub(super) lo: u64,
    #[prost(uint32, tag = "3")]
    pub(super) node: u32,
    #[prost(uint32, repeated, tag = "4")]
    pub(super) ports: Vec<u32>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WaitingMsg {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) tasks: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) why: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SeenMsg {
    #[prost(fixed64, tag = "1")]
    pub(super) hi: u64,
    #[prost(fixed64, tag = "2")]
    pub(super) lo: u64,
    #[prost(uint64, tag = "3")]
    pub(super) seq: u64,
    #[prost(uint32, tag = "4")]
    pub(super) incarnation: u32,
    #[prost(uint32, tag = "5")]
    pub(super) phase: u32,
    #[prost(bool, optional, tag = "6")]
    pub(super) ready: Option<bool>,
    #[prost(string, optional, tag = "7")]
    pub(super) address: Option<String>,
    #[prost(bytes = "vec", tag = "8")]
    pub(super) exit: Vec<u8>,
    #[prost(string, tag = "9")]
    pub(super) message: String,
    #[prost(uint64, tag = "10")]
    pub(super) at: u64,
    #[prost(bytes = "vec", tag = "11")]
    pub(super) containers: Vec<u8>,
    #[prost(bytes = "vec", tag = "12")]
    pub(super) checks: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct EndedMsg {
    #[prost(fixed64, tag = "1")]
    pub(super) hi: u64,
    #[prost(fixed64, tag = "2")]
    pub(super) lo: u64,
    #[prost(uint32, tag = "3")]
    pub(super) phase: u32,
    #[prost(bytes = "vec", tag = "4")]
    pub(super) exit: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct OrderedMsg {
    #[prost(fixed64, tag = "1")]
    pub(super) hi: u64,
    #[prost(fixed64, tag = "2")]
    pub(super) lo: u64,
    #[prost(message, optional, tag = "3")]
    pub(super) desired: Option<DesiredMsg>,
    #[prost(bool, tag = "4")]
    pub(super) release: bool,
    #[prost(uint64, optional, tag = "5")]
    pub(super) grace_ms: Option<u64>,
    #[prost(bool, tag = "6")]
    pub(super) readmit: bool,
    #[prost(bytes = "vec", tag = "7")]
    pub(super) cause: Vec<u8>,
    #[prost(string, tag = "8")]
    pub(super) actor: String,
}

/// What shall be true of a task. Kind 1: held, 2: running, 3: stopped.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct DesiredMsg {
    #[prost(uint32, tag = "1")]
    pub(super) kind: u32,
    #[prost(uint64, tag = "2")]
    pub(super) deadline_ms: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct RewordedMsg {
    #[prost(fixed64, tag = "1")]
    pub(super) hi: u64,
    #[prost(fixed64, tag = "2")]
    pub(super) lo: u64,
    #[prost(uint64, tag = "3")]
    pub(super) terms: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct NodeMsg {
    #[prost(uint32, tag = "1")]
    pub(super) ix: u32,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) json: Vec<u8>,
    #[prost(uint32, tag = "3")]
    pub(super) state: u32,
    #[prost(string, tag = "4")]
    pub(super) actor: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TenantMsg {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) json: Vec<u8>,
    #[prost(string, tag = "2")]
    pub(super) actor: String,
}
