//! Wishes taken one by one: the records, versions and differences that come of each.

use super::{Limits, Proposal, Wish};
use crate::app::App;
use crate::canonical::Canonical;
use crate::desired::AppRecord;
use crate::group::Group;
use crate::path::AppId;
use crate::plan::{Difference, GroupDifference};
use crate::refusal::{Detail, Refusal};
use crate::request::reader::NOT_SUPPORTED;
use crate::service_ports;
use crate::update;
use plenum_model::ids::TaskId;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Instances of one app: each is kept, planned and shown one by one, and a slip of the keyboard must not take
/// the memory of the whole pool.
const MOST_INSTANCES: u32 = 100_000;

fn check_count(new: &Canonical) -> Result<(), Refusal> {
    if new.instances <= MOST_INSTANCES {
        return Ok(());
    }
    let error = format!("more than {MOST_INSTANCES} instances of one app {NOT_SUPPORTED}");
    Err(Refusal::Rules(vec![Detail::new("/instances", error)]))
}

/// Bytes of an id that leave room for the rest of the keys it is stored under.
const LONGEST_ID: usize = 800;

fn check_length(id: &AppId) -> Result<(), Refusal> {
    if id.to_string().len() <= LONGEST_ID {
        return Ok(());
    }
    let error = format!("an id of more than {LONGEST_ID} characters {NOT_SUPPORTED}");
    Err(Refusal::Rules(vec![Detail::new("/id", error)]))
}

impl Proposal {
    pub(super) fn take(&mut self, id: &AppId, wish: Wish, limits: &Limits) -> Result<(), Refusal> {
        let record = self.desired.app(id).cloned();
        match (record, wish) {
            (None, Wish::Become(new)) => self.create(id, *new, limits),
            (Some(record), Wish::Become(new)) => self.change(id, &record, *new, limits),
            (Some(record), Wish::Restart) => {
                let app = update::restarted(&record.app, self.plan.version);
                self.put(id, &record, app, BTreeSet::new(), limits);
                Ok(())
            }
            (Some(record), Wish::Shrink(victims)) => {
                let mut new = update::of_version(&record.app);
                new.instances = new
                    .instances
                    .saturating_sub(u32::try_from(victims.len()).unwrap_or(u32::MAX));
                if let Some(app) = update::changed(&record.app, new, self.plan.version) {
                    self.put(id, &record, app, victims, limits);
                }
                Ok(())
            }
            (Some(record), Wish::Gone) => {
                self.remove(id, record);
                Ok(())
            }
            (_, Wish::Group(group)) => {
                check_length(id)?;
                self.make_groups(id);
                self.put_group(id, Some(group));
                Ok(())
            }
            (_, Wish::NoGroup) => {
                self.put_group(id, None);
                Ok(())
            }
            (None, Wish::Restart | Wish::Shrink(_) | Wish::Gone) => Err(Refusal::NoApp(id.clone(), None)),
        }
    }

    fn create(&mut self, id: &AppId, mut new: Canonical, limits: &Limits) -> Result<(), Refusal> {
        check_count(&new)?;
        check_length(id)?;
        self.make_groups(id);
        self.number_ports(&mut new, &[], limits)?;
        let app = Arc::new(update::created(new, self.plan.version));
        let record = AppRecord {
            uid: format!("{id}@{}", self.plan.version.ms()),
            versions: [(app.version, Arc::clone(&app))].into(),
            app: Arc::clone(&app),
        };
        self.desired.apps.insert(id.clone(), Arc::new(record));
        self.put.insert(id.clone());
        self.note(id, None, Some(app), BTreeSet::new());
        Ok(())
    }

    fn change(
        &mut self,
        id: &AppId,
        record: &AppRecord,
        mut new: Canonical,
        limits: &Limits,
    ) -> Result<(), Refusal> {
        check_count(&new)?;
        self.ports.remove(&record.app.config);
        let own = record.app.config.service_ports();
        self.number_ports(&mut new, &own, limits)?;
        if let Some(app) = update::changed(&record.app, new, self.plan.version) {
            self.put(id, record, app, BTreeSet::new(), limits);
        }
        Ok(())
    }

    fn put(&mut self, id: &AppId, record: &AppRecord, app: App, victims: BTreeSet<TaskId>, limits: &Limits) {
        let app = Arc::new(app);
        let mut versions = record.versions.clone();
        versions.insert(app.version, Arc::clone(&app));
        while versions.len() > limits.versions {
            let Some((oldest, _)) = versions.pop_first() else {
                break;
            };
            self.dropped_versions.push((record.uid.clone(), oldest));
        }
        let next = AppRecord {
            uid: record.uid.clone(),
            versions,
            app: Arc::clone(&app),
        };
        self.desired.apps.insert(id.clone(), Arc::new(next));
        self.put.insert(id.clone());
        self.note(id, Some(Arc::clone(&record.app)), Some(app), victims);
    }

    fn remove(&mut self, id: &AppId, record: Arc<AppRecord>) {
        self.desired.apps.remove(id);
        self.ports.remove(&record.app.config);
        self.put.remove(id);
        self.note(id, Some(Arc::clone(&record.app)), None, BTreeSet::new());
        if let Some(difference) = self.plan.apps.get_mut(id) {
            difference.stopped_uid = Some(record.uid.clone());
        }
        self.removed.push(record);
    }

    /// An app that is named twice in one request differs from what it was before the request.
    fn note(
        &mut self,
        id: &AppId,
        original: Option<Arc<App>>,
        target: Option<Arc<App>>,
        victims: BTreeSet<TaskId>,
    ) {
        let original = match self.plan.apps.remove(id) {
            Some(earlier) => earlier.original,
            None => original,
        };
        let difference = Difference {
            original,
            target,
            victims,
            ..Difference::default()
        };
        self.plan.apps.insert(id.clone(), difference);
    }

    /// The groups that `id` is in exist.
    fn make_groups(&mut self, id: &AppId) {
        for group in id.ancestors() {
            if !self.desired.has_group(&group) {
                self.put_group(&group, Some(Group::default()));
            }
        }
    }

    fn put_group(&mut self, id: &AppId, target: Option<Group>) {
        // of the root only what it depends on is kept
        let target = target.filter(|g| !id.is_root() || !g.dependencies.is_empty());
        let before = match &target {
            Some(group) => self.desired.groups.insert(id.clone(), group.clone()),
            None => self.desired.groups.remove(id),
        };
        let original = match self.plan.groups.remove(id) {
            Some(earlier) => earlier.original,
            None => before,
        };
        if original != target {
            let difference = GroupDifference { original, target };
            self.plan.groups.insert(id.clone(), difference);
        }
    }

    /// Numbers the ports of an app whose old ones are given back already.
    fn number_ports(&mut self, new: &mut Canonical, own: &[u16], limits: &Limits) -> Result<(), Refusal> {
        service_ports::assign(&mut new.config, own, &self.ports, &limits.service_ports)
            .map_err(|e| Refusal::Argument(e.to_string()))?;
        self.ports.add(&new.config);
        Ok(())
    }
}
