//! The thread that lets what is durable be seen: it writes the view, tells agents' mailboxes what concerns
//! them, wakes watchers and answers callers, in the order of the log.

use super::mailbox::Mailbox;
use super::stats::add_since;
use super::{Decided, Failed, Reply, Shared, dispatch};
use crate::input::{Answer, Change, Denied};
use plenum_contract::dispatcher::DispatchError;
use plenum_model::ids::{Cursor, NodeId, TaskId};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Instant;
use tokio::sync::oneshot;

/// Groups that may wait to be published; each is a whole sync's worth.
pub(super) const GROUPS_DEPTH: usize = 4;

/// What the log thread sends.
pub(super) enum ToPublisher {
    /// These steps are durable.
    Durable(Vec<Decided>),
    /// These are not and never will be.
    Failed(Vec<Decided>, Failed),
    /// Up to where is everything published?
    Fence(SyncSender<Cursor>),
}

pub(super) fn run(inbox: Receiver<ToPublisher>, shared: Arc<Shared>) -> impl FnOnce() + Send + 'static {
    move || {
        while let Ok(message) = inbox.recv() {
            match message {
                ToPublisher::Durable(group) => publish(&shared, group),
                ToPublisher::Failed(group, failed) => refuse_all(&shared, group, &failed),
                ToPublisher::Fence(reply) => {
                    let _ = reply.send(shared.view.read().cursor());
                }
            }
        }
    }
}

fn publish(shared: &Shared, group: Vec<Decided>) {
    let begun = Instant::now();
    let mut replies = Vec::with_capacity(group.len());
    let mut woken: HashMap<NodeId, Arc<Mailbox>> = HashMap::new();
    let mut changed = false;
    {
        let mut view = shared.view.write();
        let mut mailboxes = shared.mailboxes.lock();
        for decided in group {
            changed |= !decided.changes.is_empty();
            match (decided.mailbox, &decided.answer) {
                // Registered before anything later is published: the full set it reads, and what comes after,
                // leave no gap.
                (Some(mailbox), Some(Ok(Answer::Attached { node, attachment, .. }))) => {
                    if let Some((_, old)) = mailboxes.insert(node.clone(), (*attachment, mailbox)) {
                        old.close(DispatchError::Replaced { node: node.clone() });
                    }
                }
                (Some(mailbox), Some(Err(denied))) => mailbox.close(dispatch::denied(denied.clone())),
                (Some(_) | None, Some(_) | None) => {}
            }
            for change in decided.changes {
                if let Some((node, task, here)) = of_agent(&change)
                    && let Some((_, mailbox)) = mailboxes.get(node)
                {
                    mailbox.mark(task, here);
                    woken.entry(node.clone()).or_insert_with(|| Arc::clone(mailbox));
                }
                view.apply(change);
            }
            answer(
                decided.answer,
                decided.reply,
                &mut replies,
                &mut |node, attachment, seq| {
                    if let Some((_, mailbox)) = mailboxes.get(node).filter(|(live, _)| *live == attachment) {
                        mailbox.acked(seq);
                        woken.entry(node.clone()).or_insert_with(|| Arc::clone(mailbox));
                    }
                },
            );
        }
    }
    for (reply, answer) in replies {
        // A caller that no longer waits has lost nothing: what it asked for is done.
        let _ = reply.send(answer);
    }
    woken.values().for_each(|mailbox| mailbox.wake());
    if changed {
        shared.bumped.send_modify(|n| *n = n.wrapping_add(1));
    }
    add_since(&shared.stats.publish_micros, begun);
}

/// The node and task that a change of an assignment is about, and whether the task shall be there.
fn of_agent(change: &Change) -> Option<(&NodeId, TaskId, bool)> {
    if let Change::Assign { node, task } = change {
        Some((node, *task, true))
    } else if let Change::Remove { node, task } = change {
        Some((node, *task, false))
    } else {
        None
    }
}

fn answer(
    answer: Option<Result<Answer, Denied>>,
    reply: Option<oneshot::Sender<Reply>>,
    replies: &mut Vec<(oneshot::Sender<Reply>, Reply)>,
    acked: &mut dyn FnMut(&NodeId, crate::input::Attachment, plenum_model::ids::Seq),
) {
    let Some(answer) = answer else { return };
    if let Ok(Answer::Acked {
        node,
        attachment,
        seq,
    }) = &answer
    {
        acked(node, *attachment, *seq);
    }
    if let Some(reply) = reply {
        replies.push((reply, answer.map_err(Failed::Denied)));
    }
}

/// What these steps decided never was. Agents must send again what they saw, so they attach again.
fn refuse_all(shared: &Shared, group: Vec<Decided>, failed: &Failed) {
    for decided in group {
        refuse(decided.reply, decided.mailbox, failed.clone());
    }
    for (_, (_, mailbox)) in shared.mailboxes.lock().drain() {
        mailbox.close(unavailable(failed));
    }
}

/// Tells whoever waits that it was not done.
pub(super) fn refuse(reply: Option<oneshot::Sender<Reply>>, mailbox: Option<Arc<Mailbox>>, failed: Failed) {
    if let Some(mailbox) = mailbox {
        mailbox.close(unavailable(&failed));
    }
    if let Some(reply) = reply {
        let _ = reply.send(Err(failed));
    }
}

fn unavailable(failed: &Failed) -> DispatchError {
    let why = match failed {
        Failed::Full => "the ledger's disk is full".to_owned(),
        Failed::Unavailable(why) => why.clone(),
        Failed::Denied(_) | Failed::Overloaded { .. } => "the ledger's log failed".to_owned(),
    };
    DispatchError::Unavailable { why }
}
