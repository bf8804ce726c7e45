//! The `Pool` contract on both sides of the wire.

use crate::fake_pool::{
    FakePool, TASKS, events, every_error, explanation, node_explanation, schedulers, simulation, tenant,
    tenant_explanation, tenants,
};
use crate::nouns::{node, node_id, scheduler, task_id, tasks};
use crate::wired::{Fakes, Wired};
use futures::StreamExt;
use plenum_contract::error::Classified;
use plenum_contract::pool::{Pool, Suppose, TaskFilter};
use plenum_model::claim::Terms;
use plenum_model::ids::{Cursor, NodeId};
use plenum_model::node::Scheduling;
use plenum_model::taint::{Effect, TaintChange};
use plenum_wire::RemotePool;
use std::sync::Arc;

/// The same test in process and over the wire.
macro_rules! both {
    ($($name:ident)*) => {$(
        mod $name {
            #[tokio::test]
            async fn in_process() {
                let fakes = super::Fakes::default();
                super::$name(fakes.pool.as_ref(), &fakes.pool).await;
            }

            #[tokio::test]
            async fn over_the_wire() {
                let wired = super::Wired::start().await;
                let pool = super::RemotePool::new(wired.channel.clone());
                super::$name(&pool, &wired.fakes.pool).await;
            }
        }
    )*};
}

both! {
    everything_can_be_asked
    a_listing_of_any_length_comes_whole_and_says_whether_more_follows
    what_it_is_told_arrives
    errors_keep_their_class_and_their_fields
    the_timeline_comes_in_order_and_ends_with_its_error
}

async fn everything_can_be_asked(pool: &dyn Pool, _: &Arc<FakePool>) {
    assert!(pool.nodes().await.unwrap() == (0..5_000).map(node).collect::<Vec<_>>());
    assert_eq!(pool.schedulers().await.unwrap(), schedulers());
    assert_eq!(pool.tenants().await.unwrap(), tenants());
    assert_eq!(pool.task(task_id(3)).await.unwrap(), tasks(10)[3]);
    assert_eq!(pool.why(task_id(3)).await.unwrap(), explanation());
    assert_eq!(pool.why_node(&node_id(1)).await.unwrap(), node_explanation());
    assert_eq!(
        pool.why_tenant(&tenant().path).await.unwrap(),
        tenant_explanation()
    );
}

async fn a_listing_of_any_length_comes_whole_and_says_whether_more_follows(
    pool: &dyn Pool,
    fake: &Arc<FakePool>,
) {
    let all = TaskFilter {
        ended: true,
        ..TaskFilter::default()
    };
    let page = pool.tasks(all.clone()).await.unwrap();
    assert!(page.tasks == tasks(TASKS) && !page.more);
    assert!(
        page.tasks
            .windows(2)
            .all(|two| Arc::ptr_eq(&two[0].terms, &two[1].terms))
    );
    let page = pool.tasks(TaskFilter { limit: 5_000, ..all }).await.unwrap();
    assert_eq!((page.tasks.len(), page.more), (5_000, true));
    let narrow = TaskFilter {
        scheduler: Some(scheduler()),
        workload: Some("/web".into()),
        node: Some(node_id(1)),
        tenant: Some(tenant().path),
        ended: false,
        after: Some(task_id(1)),
        limit: 7,
    };
    let page = pool.tasks(narrow.clone()).await.unwrap();
    assert!(page.tasks.is_empty() && !page.more);
    assert_eq!(fake.told.lock().unwrap().last(), Some(&format!("{narrow:?}")));
}

async fn what_it_is_told_arrives(pool: &dyn Pool, fake: &Arc<FakePool>) {
    pool.set_tenant(tenant(), "ann").await.unwrap();
    pool.set_scheduling(&node_id(1), Scheduling::Cordoned, "bob")
        .await
        .unwrap();
    let change = TaintChange {
        set: vec!["gpu=a100:NoSchedule".parse().unwrap()],
        remove: vec![("a".into(), None), ("b".into(), Some(Effect::NoExecute))],
    };
    pool.taint(&node_id(1), change.clone(), "zoe").await.unwrap();
    pool.remove_node(&node_id(2), "cat").await.unwrap();
    pool.stop_task(task_id(1), Some(0), "dan").await.unwrap();
    pool.stop_task(task_id(2), None, "eve").await.unwrap();
    let tasks = tasks(1);
    let suppose = vec![
        Suppose::LoseNode(node_id(1)),
        Suppose::SetTenant(tenant()),
        Suppose::Claim {
            terms: Box::new(Terms::clone(&tasks[0].terms)),
            spec: Box::default(),
            count: 3,
        },
    ];
    assert_eq!(pool.simulate(suppose.clone()).await.unwrap(), simulation());
    let told = [
        format!("{:?} ann", tenant()),
        "node-1 Cordoned bob".to_owned(),
        format!("node-1 {change:?} zoe"),
        "remove node-2 cat".to_owned(),
        format!("stop {} Some(0) dan", task_id(1)),
        format!("stop {} None eve", task_id(2)),
        format!("{suppose:?}"),
    ];
    assert_eq!(*fake.told.lock().unwrap(), told);
}

async fn errors_keep_their_class_and_their_fields(pool: &dyn Pool, _: &Arc<FakePool>) {
    for (n, expected) in every_error().into_iter().enumerate() {
        let node = NodeId::new(format!("error-{n}")).unwrap();
        let error = pool.remove_node(&node, "ann").await.unwrap_err();
        assert_eq!(format!("{error:?}"), format!("{expected:?}"));
        assert_eq!(error.class(), expected.class());
    }
    let error = pool.task(task_id(99)).await.unwrap_err();
    assert_eq!(error.to_string(), format!("there is no task `{}`", task_id(99)));
}

async fn the_timeline_comes_in_order_and_ends_with_its_error(pool: &dyn Pool, _: &Arc<FakePool>) {
    let mut timeline = pool.events(Some(Cursor(7))).await.unwrap();
    assert_eq!(timeline.next().await.unwrap().unwrap(), events(7));
    let error = timeline.next().await.unwrap().unwrap_err();
    assert_eq!(format!("{error:?}"), format!("{:?}", every_error()[5]));
    assert!(timeline.next().await.is_none());
    let mut timeline = pool.events(None).await.unwrap();
    assert_eq!(timeline.next().await.unwrap().unwrap(), []);
    assert!(timeline.next().await.is_none());
    let Err(error) = pool.events(Some(Cursor(0))).await else {
        panic!("it was given")
    };
    assert_eq!(format!("{error:?}"), format!("{:?}", every_error()[2]));
}
