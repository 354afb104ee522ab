//! The list of services: which are shown, in which order, and which one is selected.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::health::{Flag, Selection, ServiceSnapshot, State};

use super::filter;
use crate::text;

/// The order of the rows. All are stable: equal services keep the order of the inventory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum SortOrder {
    /// Worst state first; a blocked service comes after the others of its state.
    #[default]
    Trouble,
    Inventory,
    Name,
}

impl SortOrder {
    /// Returns the name in the header.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Trouble => "trouble first",
            Self::Inventory => "inventory order",
            Self::Name => "by name",
        }
    }

    pub(crate) const fn next(self) -> Self {
        match self {
            Self::Trouble => Self::Inventory,
            Self::Inventory => Self::Name,
            Self::Name => Self::Trouble,
        }
    }
}

/// The services, with order, selection and marks.
#[derive(Debug, Default)]
pub(crate) struct ServiceList {
    snapshots: Vec<Arc<ServiceSnapshot>>,
    /// The selectors of the command line.
    selection: Selection,
    by_name: HashMap<String, usize>,
    /// Indices into `snapshots`: what is shown, in order.
    shown: Vec<usize>,
    /// The selected service, an index into `snapshots`.
    selected: Option<usize>,
    /// Names of the services that actions mean. They are kept by name, so that a mark goes with its service.
    marked: HashSet<String>,
    /// The first row is selected whatever stands there, until somebody chooses a service.
    follow_first: bool,
    /// The first row on the screen.
    pub(crate) top: usize,
    pub(crate) sort: SortOrder,
    longest_name: usize,
    grouped: bool,
    unsorted: bool,
}

impl ServiceList {
    /// Returns the list of these services, given in inventory order.
    pub(crate) fn new(snapshots: Vec<Arc<ServiceSnapshot>>, selection: Selection) -> Self {
        let mut list = Self {
            selection,
            follow_first: true,
            ..Self::default()
        };
        for snapshot in snapshots {
            list.put(snapshot);
        }
        list
    }

    /// Stores the newest snapshot of a service and returns the one before.
    pub(crate) fn put(&mut self, snapshot: Arc<ServiceSnapshot>) -> Option<Arc<ServiceSnapshot>> {
        self.unsorted = true;
        self.grouped |= snapshot.info.group.is_some();
        if let Some(old) = self
            .by_name
            .get(&snapshot.info.name)
            .and_then(|index| self.snapshots.get_mut(*index))
        {
            return Some(std::mem::replace(old, snapshot));
        }
        self.by_name
            .insert(snapshot.info.name.clone(), self.snapshots.len());
        self.longest_name = self.longest_name.max(text::width(&snapshot.info.name));
        self.snapshots.push(snapshot);
        None
    }

    /// Returns all services in inventory order.
    pub(crate) fn all(&self) -> &[Arc<ServiceSnapshot>] {
        &self.snapshots
    }

    /// Returns the width in cells of the longest name of all services, so that columns do not move while scrolling.
    pub(crate) fn longest_name(&self) -> usize {
        self.longest_name
    }

    /// Returns whether any service has a group.
    pub(crate) fn grouped(&self) -> bool {
        self.grouped
    }

    /// Returns how many services are in this state.
    pub(crate) fn count(&self, state: State) -> usize {
        let snapshots = self.snapshots.iter();
        snapshots.filter(|it| it.state == state).count()
    }

    /// Returns how many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.shown.len()
    }

    /// Returns at most `count` rows, beginning with row `from`.
    pub(crate) fn window(
        &self,
        from: usize,
        count: usize,
    ) -> impl Iterator<Item = &ServiceSnapshot> {
        self.shown
            .iter()
            .skip(from)
            .take(count)
            .filter_map(|index| self.snapshots.get(*index))
            .map(AsRef::as_ref)
    }

    /// Returns the selected service.
    pub(crate) fn selected(&self) -> Option<&ServiceSnapshot> {
        self.selected
            .and_then(|index| self.snapshots.get(index))
            .map(AsRef::as_ref)
    }

    /// Marks the selected service, or removes its mark. The selection stays with the service from then on.
    pub(crate) fn mark(&mut self) {
        self.pin();
        let Some(name) = self.selected().map(|snapshot| snapshot.info.name.clone()) else {
            return;
        };
        if !self.marked.remove(&name) {
            self.marked.insert(name);
        }
    }

    pub(crate) fn unmark(&mut self) {
        self.marked.clear();
    }

    pub(crate) fn is_marked(&self, snapshot: &ServiceSnapshot) -> bool {
        self.marked.contains(&snapshot.info.name)
    }

    /// Returns the marked services in inventory order, shown or not.
    pub(crate) fn marked(&self) -> impl Iterator<Item = &ServiceSnapshot> {
        let all = self.snapshots.iter().map(AsRef::as_ref);
        all.filter(|snapshot| self.is_marked(snapshot))
    }

    /// Returns how many marked services have no row now.
    pub(crate) fn marked_unseen(&self) -> usize {
        let shown = self.window(0, self.len());
        self.marked().count() - shown.filter(|snapshot| self.is_marked(snapshot)).count()
    }

    /// Returns the row of the selected service.
    pub(crate) fn position(&self) -> Option<usize> {
        let selected = self.selected?;
        self.shown.iter().position(|index| *index == selected)
    }

    /// Selects the row `by` below (or above) the selected one, stopping at the ends.
    pub(crate) fn step(&mut self, by: isize) {
        let from = self.position().unwrap_or(0);
        self.select(from.saturating_add_signed(by));
    }

    /// Selects a row, the last one where there are fewer.
    pub(crate) fn select(&mut self, row: usize) {
        self.follow_first = false;
        let row = row.min(self.shown.len().saturating_sub(1));
        self.selected = self.shown.get(row).copied();
    }

    /// Keeps the selection with its service when rows move.
    pub(crate) fn pin(&mut self) {
        self.follow_first = false;
    }

    /// Sorts and filters again at the next [`settle`](Self::settle).
    pub(crate) fn touch(&mut self) {
        self.unsorted = true;
    }

    /// Brings order, selection and window up to date: `rows` of them are on the screen.
    pub(crate) fn settle(&mut self, filter: &str, rows: usize) {
        if self.unsorted {
            self.unsorted = false;
            self.arrange(filter);
        }
        let last_top = self.shown.len().saturating_sub(rows);
        if let Some(position) = self.position() {
            self.top = self.top.min(position);
            self.top = self.top.max((position + 1).saturating_sub(rows));
        }
        self.top = self.top.min(last_top);
    }

    fn arrange(&mut self, filter: &str) {
        let row = self.position();
        let snapshots = &self.snapshots;
        let shows = |snapshot: &Arc<ServiceSnapshot>| {
            self.selection.matches(snapshot) && filter::shows(filter, snapshot)
        };
        self.shown = (0..snapshots.len())
            .filter(|index| snapshots.get(*index).is_some_and(shows))
            .collect();
        match self.sort {
            SortOrder::Inventory => {}
            SortOrder::Trouble => self.shown.sort_by_key(|index| {
                snapshots
                    .get(*index)
                    .map(|it| (trouble_rank(it), it.flags.contains(&Flag::Blocked)))
            }),
            SortOrder::Name => self.shown.sort_by(|a, b| {
                let name = |index: &usize| snapshots.get(*index).map(|it| it.info.name.as_str());
                name(a).cmp(&name(b))
            }),
        }
        if self.follow_first {
            self.selected = self.shown.first().copied();
        } else if self.position().is_none() {
            // The selected one was filtered away: the nearest row takes its place.
            let row = row.unwrap_or(0).min(self.shown.len().saturating_sub(1));
            self.selected = self.shown.get(row).copied();
        }
    }
}

/// Returns the rank of a service when trouble comes first. A service that was not probed yet ranks with the healthy
/// ones, so its row does not move when the first answer is good.
fn trouble_rank(snapshot: &ServiceSnapshot) -> u8 {
    let waiting = snapshot.state == State::Unknown
        && snapshot.probes.iter().all(|probe| probe.latest.is_none());
    rank(if waiting {
        State::Healthy
    } else {
        snapshot.state
    })
}

/// Returns the rank of a state when trouble comes first.
pub(crate) const fn rank(state: State) -> u8 {
    match state {
        State::Unhealthy => 0,
        State::Unready => 1,
        State::Unknown => 2,
        State::Degraded => 3,
        State::Draining => 4,
        State::Stopped => 5,
        State::Starting => 6,
        State::Healthy => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::samples;

    fn list(states: &[(&str, State)]) -> ServiceList {
        let snapshots = states
            .iter()
            .map(|(name, state)| samples::shared(name, *state))
            .collect();
        let mut list = ServiceList::new(snapshots, Selection::default());
        list.settle("", 10);
        list
    }

    fn names(list: &ServiceList) -> Vec<&str> {
        list.window(0, 99)
            .map(|snapshot| snapshot.info.name.as_str())
            .collect()
    }

    #[test]
    fn trouble_comes_first_and_equals_keep_their_order() {
        let list = list(&[
            ("a", State::Healthy),
            ("b", State::Degraded),
            ("c", State::Unhealthy),
            ("d", State::Healthy),
            ("e", State::Unhealthy),
            ("f", State::Unknown),
        ]);
        assert_eq!(names(&list), ["c", "e", "f", "b", "a", "d"]);
    }

    #[test]
    fn rows_stay_when_first_answers_are_good() {
        let waiting = ["a", "b", "c"].map(|name| Arc::new(samples::waiting(name)));
        let mut list = ServiceList::new(waiting.to_vec(), Selection::default());
        list.put(samples::shared("b", State::Healthy));
        list.settle("", 10);
        assert_eq!(names(&list), ["a", "b", "c"]);
    }

    #[test]
    fn a_cause_stands_above_what_it_blocks() {
        let mut blocked = samples::snapshot("a", State::Unhealthy);
        blocked.flags.insert(Flag::Blocked);
        let mut list = list(&[("b", State::Unhealthy)]);
        list.put(Arc::new(blocked));
        list.settle("", 10);
        assert_eq!(names(&list), ["b", "a"]);
    }

    #[test]
    fn until_somebody_chooses_the_worst_is_selected() {
        let mut list = list(&[("a", State::Healthy), ("b", State::Healthy)]);
        list.put(samples::shared("b", State::Unhealthy));
        list.settle("", 10);
        assert_eq!(list.selected().unwrap().info.name, "b");
    }

    #[test]
    fn a_chosen_service_stays_selected_when_rows_move() {
        let mut list = list(&[("a", State::Healthy), ("b", State::Healthy)]);
        list.select(0);
        list.put(samples::shared("b", State::Unhealthy));
        list.settle("", 10);
        assert_eq!(list.selected().unwrap().info.name, "a");
        assert_eq!(list.position(), Some(1));
    }

    #[test]
    fn a_mark_goes_with_its_service() {
        let mut list = list(&[("a", State::Healthy), ("b", State::Healthy)]);
        let marked = |list: &ServiceList| -> Vec<String> {
            list.marked()
                .map(|snapshot| snapshot.info.name.clone())
                .collect()
        };
        list.select(1);
        list.mark();
        list.put(samples::shared("b", State::Unhealthy));
        list.settle("", 10);
        assert_eq!(names(&list), ["b", "a"]);
        assert_eq!(marked(&list), ["b"]);
        list.select(1);
        list.mark();
        assert_eq!(marked(&list), ["a", "b"], "in inventory order");
        list.touch();
        list.settle("a", 10);
        assert_eq!((marked(&list).len(), list.marked_unseen()), (2, 1));
        list.mark();
        assert_eq!(marked(&list), ["b"]);
        list.unmark();
        assert!(marked(&list).is_empty());
    }

    #[test]
    fn a_filtered_selection_gives_way_to_its_neighbour() {
        let mut list = list(&[
            ("a1", State::Healthy),
            ("b", State::Healthy),
            ("a2", State::Healthy),
        ]);
        list.select(1);
        list.touch();
        list.settle("a", 10);
        assert_eq!(list.selected().unwrap().info.name, "a2");
        list.touch();
        list.settle("nothing", 10);
        assert!(list.selected().is_none());
        list.touch();
        list.settle("", 10);
        assert!(list.selected().is_some());
    }

    #[test]
    fn the_window_keeps_the_selection_on_the_screen() {
        let states: Vec<(String, State)> = (0..1_000)
            .map(|n| (format!("s{n:03}"), State::Healthy))
            .collect();
        let states: Vec<(&str, State)> = states
            .iter()
            .map(|(name, state)| (name.as_str(), *state))
            .collect();
        let mut list = list(&states);
        for (step, position, top) in [
            (9, 9, 0),
            (1, 10, 1),
            (500, 510, 501),
            (-3, 507, 501),
            (-9_999, 0, 0),
            (9_999, 999, 990),
        ] {
            list.step(step);
            list.settle("", 10);
            assert_eq!(
                (list.position(), list.top),
                (Some(position), top),
                "after {step}"
            );
        }
        list.settle("", 0);
        assert_eq!(list.position(), Some(999));
    }
}
