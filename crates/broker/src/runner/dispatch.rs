//! The contract `Dispatcher`, in process. What an agent sends is pumped into the core's queue by a task of its
//! own; what it is sent is read from its mailbox and the view as it takes it.

use super::mailbox::{Asked, Mailbox, Taken};
use super::{BrokerHandle, Call, Failed, Inner, ToCore};
use super::{files, images};
use crate::input::{Answer, Attachment, Denied, Input};
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use plenum_contract::broker::API_VERSIONS;
use plenum_contract::dispatcher::{
    AgentHello, AgentMessage, Assignments, BrokerMessage, BrokerStream, DispatchError, Dispatcher, StreamId,
};
use plenum_contract::images::FoundImage;
use plenum_contract::streams::{Output, StreamError, StreamInput};
use plenum_model::ids::{LeaderEpoch, NodeId, SpecId, TaskId};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Assignments of one message. A full set is one message whatever its size: it is what makes it whole.
const PAGE: usize = 512;

#[async_trait]
impl Dispatcher for BrokerHandle {
    async fn attach(
        &self,
        hello: AgentHello,
        up: BoxStream<'static, AgentMessage>,
    ) -> Result<BrokerStream, DispatchError> {
        let (low, high) = hello.api;
        if low > API_VERSIONS.1 || high < API_VERSIONS.0 {
            let ours = format!("{}-{}", API_VERSIONS.0, API_VERSIONS.1);
            let why = format!("this broker speaks versions {ours}, the agent {low}-{high}");
            return Err(DispatchError::Refused {
                field: "api".to_owned(),
                why,
            });
        }
        let epoch = self.0.epoch;
        if hello.epoch > epoch {
            let why = format!(
                "the agent has obeyed leader epoch {}, this one is {epoch}",
                hello.epoch
            );
            return Err(DispatchError::Refused {
                field: "epoch".to_owned(),
                why,
            });
        }
        let attachment = Attachment(self.0.attachments.fetch_add(1, Ordering::Relaxed));
        let mailbox = Arc::new(Mailbox::default());
        let facts = Box::new(hello.facts);
        let input = Input::Attach { facts, attachment };
        let reply = self.0.ask_with(input, Some(Arc::clone(&mailbox))).await;
        let node = match reply.map_err(refused)? {
            Answer::Attached { node, .. } => node,
            other => {
                let why = format!("the core answered something else: {other:?}");
                return Err(DispatchError::Unavailable { why });
            }
        };
        let pump = pump(
            Arc::clone(&self.0),
            node.clone(),
            attachment,
            Arc::clone(&mailbox),
            up,
        );
        self.0.tracker.spawn(pump);
        Ok(down(Arc::clone(&self.0), mailbox, node, epoch))
    }

    async fn carry(
        &self,
        node: NodeId,
        stream: StreamId,
        up: BoxStream<'static, Result<Output, StreamError>>,
    ) -> Result<BoxStream<'static, StreamInput>, DispatchError> {
        self.0.hub.carry(&node, stream, up)
    }

    async fn fetch(
        &self,
        node: NodeId,
        task: TaskId,
        key: String,
        revision: u64,
    ) -> Result<Bytes, DispatchError> {
        let named = {
            let view = self.0.shared.view.read();
            view.assignment(&node, task).map(|(assignment, _)| assignment)
        };
        files::fetch(self.0.state.as_ref(), named.as_ref(), &node, task, &key, revision).await
    }

    async fn fetch_image(
        &self,
        node: NodeId,
        task: TaskId,
        image: String,
    ) -> Result<FoundImage, DispatchError> {
        images::find(self, &node, task, &image).await
    }
}

fn refused(failed: Failed) -> DispatchError {
    let why = match failed {
        Failed::Denied(why) => return denied(why),
        Failed::Overloaded { depth } => format!("the broker's queue of {depth} is full"),
        Failed::Full => "the ledger's disk is full".to_owned(),
        Failed::Unavailable(why) => why,
    };
    DispatchError::Unavailable { why }
}

/// A refusal by the core, as agents read it.
pub(super) fn denied(denied: Denied) -> DispatchError {
    match denied {
        Denied::Refused { field, why } => DispatchError::Refused { field, why },
        Denied::Replaced(node) => DispatchError::Replaced { node },
        Denied::NotFound { kind, name } => DispatchError::NotFound {
            what: format!("{kind} `{name}`"),
        },
        Denied::Conflict { why } => DispatchError::Refused {
            field: "state".to_owned(),
            why,
        },
        Denied::Fenced(caller) => {
            let why = format!("session {} of {} is fenced", caller.epoch, caller.scheduler);
            DispatchError::Refused {
                field: "session".to_owned(),
                why,
            }
        }
    }
}

/// Hands what an agent sends to the core, waiting where the core is busy: the agent keeps it meanwhile.
async fn pump(
    inner: Arc<Inner>,
    node: NodeId,
    attachment: Attachment,
    mailbox: Arc<Mailbox>,
    mut up: BoxStream<'static, AgentMessage>,
) {
    let next = async |up: &mut BoxStream<'static, AgentMessage>| {
        tokio::select! {
            message = up.next() => message,
            () = mailbox.token().cancelled() => None,
            () = inner.stop.cancelled() => None,
        }
    };
    while let Some(message) = next(&mut up).await {
        let input = match message {
            AgentMessage::Heartbeat => Input::Heard(node.clone(), attachment),
            AgentMessage::Facts(facts) => Input::Facts(facts, attachment),
            AgentMessage::Observed(seen) => Input::Observed(node.clone(), attachment, seen),
        };
        // With the mailbox: what is refused, or cannot be made durable, ends the attachment, and the agent
        // comes again with all that was not acknowledged.
        let mailbox_too = Some(Arc::clone(&mailbox));
        let call = ToCore::Call(Call {
            input,
            reply: None,
            mailbox: mailbox_too,
        });
        tokio::select! {
            sent = inner.calls.send(call) => if sent.is_err() { break },
            () = mailbox.token().cancelled() => break,
            () = inner.stop.cancelled() => break,
        }
    }
    // The node is not silent yet: its lease runs. But nobody reads what it would be sent.
    mailbox.close(DispatchError::Unavailable {
        why: "the agent's connection ended".to_owned(),
    });
}

/// What an agent is sent.
struct Down {
    inner: Arc<Inner>,
    mailbox: Arc<Mailbox>,
    node: NodeId,
    epoch: LeaderEpoch,
    stage: Stage,
    specs: HashSet<SpecId>,
}

#[derive(PartialEq, Eq)]
enum Stage {
    Welcome,
    Full,
    Deltas,
    Over,
}

fn down(inner: Arc<Inner>, mailbox: Arc<Mailbox>, node: NodeId, epoch: LeaderEpoch) -> BrokerStream {
    let down = Down {
        inner,
        mailbox,
        node,
        epoch,
        stage: Stage::Welcome,
        specs: HashSet::new(),
    };
    stream::unfold(down, |mut down| async move {
        let message = down.next().await?;
        Some((message, down))
    })
    .boxed()
}

impl Drop for Down {
    fn drop(&mut self) {
        self.mailbox.close(DispatchError::Unavailable {
            why: "the agent's connection ended".to_owned(),
        });
    }
}

impl Down {
    async fn next(&mut self) -> Option<Result<BrokerMessage, DispatchError>> {
        match self.stage {
            Stage::Welcome => {
                self.stage = Stage::Full;
                let lease_ms = self.inner.config.core.lease_ms;
                return Some(Ok(BrokerMessage::Welcome {
                    epoch: self.epoch,
                    lease_ms,
                }));
            }
            Stage::Full => {
                self.stage = Stage::Deltas;
                // Cleared first: what is marked from here on may not be in the set that is read next.
                self.mailbox.clear_tasks();
                let all = self.inner.shared.view.read().on_node(&self.node);
                return Some(Ok(BrokerMessage::Assignments(self.assignments(
                    true,
                    &all,
                    Vec::new(),
                ))));
            }
            Stage::Over => return None,
            Stage::Deltas => {}
        }
        loop {
            match self.mailbox.take(PAGE) {
                Taken::Closed(why) => {
                    self.stage = Stage::Over;
                    return Some(Err(why));
                }
                Taken::Acked(seq) => return Some(Ok(BrokerMessage::Acked(seq))),
                Taken::Stream(stream, asked) => {
                    return Some(Ok(match asked {
                        Asked::Task(task, request) => BrokerMessage::OpenStream {
                            stream,
                            task,
                            request,
                        },
                        Asked::Node(request) => BrokerMessage::OpenNode { stream, request },
                    }));
                }
                Taken::Tasks { say, remove } => {
                    let assignments = self.assignments(false, &say, remove);
                    if !assignments.assign.is_empty() || !assignments.remove.is_empty() {
                        return Some(Ok(BrokerMessage::Assignments(assignments)));
                    }
                }
                Taken::Nothing => tokio::select! {
                    () = self.mailbox.wait() => {}
                    () = self.inner.stop.cancelled() => {
                        self.stage = Stage::Over;
                        let why = "the broker is stopping".to_owned();
                        return Some(Err(DispatchError::Unavailable { why }));
                    }
                },
            }
        }
    }

    fn assignments(&mut self, full: bool, say: &[TaskId], remove: Vec<TaskId>) -> Assignments {
        let view = self.inner.shared.view.read();
        let mut message = Assignments {
            epoch: self.epoch,
            full,
            remove,
            ..Assignments::default()
        };
        for id in say {
            let Some((assignment, spec)) = view.assignment(&self.node, *id) else {
                continue;
            };
            if self.specs.insert(assignment.terms.spec) {
                message.specs.push(Arc::clone(spec));
            }
            message.assign.push(assignment);
        }
        message
    }
}

impl BrokerHandle {
    /// Whether an agent of the node is attached now.
    #[must_use]
    pub fn is_attached(&self, node: &NodeId) -> bool {
        let mailboxes = self.0.shared.mailboxes.lock();
        mailboxes
            .get(node)
            .is_some_and(|(_, mailbox)| !mailbox.token().is_cancelled())
    }
}
