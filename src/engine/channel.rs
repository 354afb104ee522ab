//! The channel by which the engine publishes events to one consumer, bounded by the number of services.
//!
//! A stopped terminal or a blocked pipe must neither hold up a probe nor fill the memory. So sending never waits, and of
//! each service only the newest snapshot is kept until it is received. What changed meanwhile adds up in it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{Stream, stream};
use tokio::sync::Notify;

use crate::event::{Event, Load};
use crate::health::{Change, ServiceSnapshot};

/// The number of action steps, results and notices that are kept. An action sends a handful; beyond this the oldest go.
const MAX_MESSAGES: usize = 1024;

/// Creates the two ends of a channel.
pub(crate) fn channel() -> (EventSender, EventReceiver) {
    let shared = Arc::new(Shared::default());
    let sender = EventSender(Arc::clone(&shared));
    (sender, EventReceiver(shared))
}

/// The sending end, which belongs to the engine.
#[derive(Debug)]
pub(crate) struct EventSender(Arc<Shared>);

/// The receiving end, which belongs to one consumer.
#[derive(Debug)]
pub(crate) struct EventReceiver(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    sent: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    order: VecDeque<Item>,
    /// The newest snapshot of each service that waits, by name, and all that changed in it.
    snapshots: HashMap<String, (Arc<ServiceSnapshot>, Vec<Change>)>,
    load: Option<Load>,
    /// The number of messages in `order`.
    messages: usize,
    sender_gone: bool,
    receiver_gone: bool,
}

#[derive(Debug)]
enum Item {
    /// The snapshot of the service with this name.
    Snapshot(String),
    Load,
    /// An event of which each one counts: an action step, an action result, a notice.
    Message(Event),
}

impl EventSender {
    /// Sends an event, without waiting.
    pub(crate) fn send(&self, event: Event) {
        let mut queue = self.0.queue();
        if queue.receiver_gone {
            return;
        }
        let was_empty = queue.order.is_empty();
        queue.put(event);
        drop(queue);
        if was_empty {
            self.0.sent.notify_one();
        }
    }
}

impl Drop for EventSender {
    fn drop(&mut self) {
        self.0.queue().sender_gone = true;
        self.0.sent.notify_one();
    }
}

impl EventReceiver {
    /// Waits for the next event. Returns `None` when the engine has ended and every event was received. Loses nothing
    /// when it is cancelled.
    pub(crate) async fn recv(&mut self) -> Option<Event> {
        loop {
            {
                let mut queue = self.0.queue();
                let event = queue.take();
                if event.is_some() || queue.sender_gone {
                    return event;
                }
            }
            self.0.sent.notified().await;
        }
    }

    /// Returns the next event, or `None` when there is none yet.
    pub(crate) fn try_recv(&mut self) -> Option<Event> {
        self.0.queue().take()
    }

    /// Turns the receiver into a stream, which ends when the engine has ended.
    pub(crate) fn into_stream(self) -> impl Stream<Item = Event> {
        stream::unfold(self, |mut receiver| async move {
            let event = receiver.recv().await?;
            Some((event, receiver))
        })
    }
}

impl Drop for EventReceiver {
    fn drop(&mut self) {
        *self.0.queue() = Queue {
            receiver_gone: true,
            ..Queue::default()
        };
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing in here panics half-way, so a poisoned queue is still a whole one.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn put(&mut self, event: Event) {
        match event {
            Event::Snapshot { snapshot, changed } => self.put_snapshot(snapshot, changed),
            Event::Load(load) => {
                if self.load.replace(load).is_none() {
                    self.order.push_back(Item::Load);
                }
            }
            message @ (Event::ActionStep(_) | Event::ActionResult(_) | Event::Notice { .. }) => {
                if self.messages >= MAX_MESSAGES {
                    self.drop_message();
                }
                self.messages += 1;
                self.order.push_back(Item::Message(message));
            }
        }
    }

    fn put_snapshot(&mut self, snapshot: Arc<ServiceSnapshot>, changed: Vec<Change>) {
        if let Some((newest, sum)) = self.snapshots.get_mut(&snapshot.info.name) {
            *newest = snapshot;
            for change in changed {
                if !sum.contains(&change) {
                    sum.push(change);
                }
            }
        } else {
            let name = snapshot.info.name.clone();
            self.order.push_back(Item::Snapshot(name.clone()));
            self.snapshots.insert(name, (snapshot, changed));
        }
    }

    /// Drops the oldest step or notice. An action result goes only where nothing else is left to drop.
    fn drop_message(&mut self) {
        let is_result = |item: &Item| matches!(item, Item::Message(Event::ActionResult(_)));
        let is_other = |item: &Item| matches!(item, Item::Message(_)) && !is_result(item);
        let oldest = self.order.iter().position(is_other);
        if let Some(oldest) = oldest.or_else(|| self.order.iter().position(is_result)) {
            self.order.remove(oldest);
            self.messages -= 1;
        }
    }

    fn take(&mut self) -> Option<Event> {
        match self.order.pop_front()? {
            Item::Message(event) => {
                self.messages -= 1;
                Some(event)
            }
            Item::Load => self.load.take().map(Event::Load),
            Item::Snapshot(name) => {
                let (snapshot, changed) = self.snapshots.remove(&name)?;
                Some(Event::Snapshot { snapshot, changed })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{Fleet, Moment, State};

    fn snapshot(name: &str, state: State) -> Arc<ServiceSnapshot> {
        let service = crate::engine::tests::service(name, 1, "live/1s");
        let fleet = Fleet::new(vec![service.info()], Moment::at_seconds(0.0));
        let mut snapshot = ServiceSnapshot::clone(&fleet.snapshots()[0]);
        snapshot.state = state;
        Arc::new(snapshot)
    }

    fn seen(name: &str, state: State, changed: &[Change]) -> Event {
        Event::Snapshot {
            snapshot: snapshot(name, state),
            changed: changed.to_vec(),
        }
    }

    fn notice(text: impl Into<String>) -> Event {
        Event::Notice {
            at: Moment::at_seconds(0.0),
            text: text.into(),
        }
    }

    /// All that waits, a word each.
    fn drain(receiver: &mut EventReceiver) -> Vec<String> {
        std::iter::from_fn(|| receiver.try_recv())
            .map(|event| match event {
                Event::Snapshot { snapshot, changed } => {
                    format!("{}={} {changed:?}", snapshot.info.name, snapshot.state)
                }
                Event::Load(load) => format!("load {}", load.asked),
                Event::Notice { text, .. } => text,
                other => format!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn the_newest_snapshot_of_a_service_is_kept_with_all_that_changed() {
        let (sender, mut receiver) = channel();
        sender.send(seen("a", State::Healthy, &[Change::First]));
        sender.send(seen("b", State::Healthy, &[]));
        sender.send(notice("read again"));
        sender.send(seen("a", State::Degraded, &[Change::State]));
        sender.send(seen("a", State::Unready, &[Change::State, Change::Flags]));
        assert_eq!(
            drain(&mut receiver),
            [
                "a=unready [First, State, Flags]",
                "b=healthy []",
                "read again"
            ]
        );
        sender.send(seen("a", State::Healthy, &[Change::State]));
        assert_eq!(drain(&mut receiver), ["a=healthy [State]"]);
    }

    #[test]
    fn only_the_newest_load_is_kept() {
        let (sender, mut receiver) = channel();
        for asked in 1..=3 {
            sender.send(Event::Load(Load {
                asked,
                ..Load::default()
            }));
        }
        assert_eq!(drain(&mut receiver), ["load 3"]);
    }

    #[test]
    fn messages_that_nobody_receives_are_bounded() {
        let (sender, mut receiver) = channel();
        for number in 0..MAX_MESSAGES + 3 {
            sender.send(notice(number.to_string()));
        }
        let waiting = drain(&mut receiver);
        assert_eq!(waiting.len(), MAX_MESSAGES);
        assert_eq!(waiting[0], "3");
    }

    #[tokio::test]
    async fn a_channel_ends_when_the_sender_is_gone_and_all_was_received() {
        let (sender, mut receiver) = channel();
        sender.send(notice("last"));
        drop(sender);
        assert!(matches!(receiver.recv().await, Some(Event::Notice { .. })));
        assert!(receiver.recv().await.is_none());
    }

    #[tokio::test]
    async fn a_waiting_receiver_is_woken_and_a_cancelled_one_loses_nothing() {
        let (sender, mut receiver) = channel();
        // Polled once, found nothing, dropped: as a `select!` does.
        assert!(futures_util::FutureExt::now_or_never(receiver.recv()).is_none());
        let reader = tokio::spawn(async move { receiver.recv().await });
        tokio::task::yield_now().await;
        sender.send(notice("woken"));
        assert!(matches!(reader.await.unwrap(), Some(Event::Notice { .. })));
    }

    #[test]
    fn without_a_receiver_nothing_is_kept() {
        let (sender, receiver) = channel();
        drop(receiver);
        sender.send(notice("unheard"));
        assert!(sender.0.queue().order.is_empty());
    }
}
