//! What a face is told, over a channel that cannot grow: of each service only the newest picture waits.
//!
//! A stopped terminal or a blocked pipe must neither hold up a probe nor fill the memory, so telling never
//! waits and a picture that nobody took yet is replaced. What changed meanwhile adds up in it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::event::{Event, Load};
use crate::health::{Change, Picture};

/// How many steps, ends and notices may wait. An action makes a handful; past this the oldest go.
const MOST_WORDS: usize = 1024;

/// A feed and the first teller into it.
pub(crate) fn feed() -> (Teller, Feed) {
    let shared = Arc::new(Shared::default());
    shared.queue().tellers = 1;
    let teller = Teller {
        shared: Arc::clone(&shared),
    };
    (teller, Feed { shared })
}

/// Tells; cloned freely. Never waits.
#[derive(Debug)]
pub(crate) struct Teller {
    shared: Arc<Shared>,
}

/// What was told, to be taken by one face.
#[derive(Debug)]
pub(crate) struct Feed {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    told: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    order: VecDeque<Item>,
    /// A place for each service that was ever told of, by name.
    places: HashMap<String, usize>,
    pictures: Vec<Option<(Arc<Picture>, Vec<Change>)>>,
    load: Option<Load>,
    /// How many of `order` are words.
    words: usize,
    tellers: usize,
    /// The face is gone: nobody will take anything.
    abandoned: bool,
}

#[derive(Debug)]
enum Item {
    /// The picture at this place.
    Picture(usize),
    /// The load.
    Load,
    /// A step, an end, a notice: each is told.
    Word(Event),
}

impl Teller {
    /// Tells the face.
    pub(crate) fn tell(&self, event: Event) {
        let mut queue = self.shared.queue();
        if queue.abandoned {
            return;
        }
        let was_empty = queue.order.is_empty();
        queue.put(event);
        drop(queue);
        if was_empty {
            self.shared.told.notify_one();
        }
    }
}

impl Clone for Teller {
    fn clone(&self) -> Self {
        self.shared.queue().tellers += 1;
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.shared.queue().tellers -= 1;
        self.shared.told.notify_one();
    }
}

impl Feed {
    /// The next event; `None` when all tellers are gone and everything was taken. Loses nothing when it is cancelled.
    pub(crate) async fn recv(&mut self) -> Option<Event> {
        loop {
            {
                let mut queue = self.shared.queue();
                let event = queue.take();
                if event.is_some() || queue.tellers == 0 {
                    return event;
                }
            }
            self.shared.told.notified().await;
        }
    }

    /// The next event, where one waits.
    pub(crate) fn try_recv(&mut self) -> Option<Event> {
        self.shared.queue().take()
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        let mut queue = self.shared.queue();
        let tellers = queue.tellers;
        *queue = Queue {
            tellers,
            abandoned: true,
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
            Event::Picture { picture, changed } => self.put_picture(picture, changed),
            Event::Load(load) => {
                if self.load.replace(load).is_none() {
                    self.order.push_back(Item::Load);
                }
            }
            word @ (Event::Step(_) | Event::Done(_) | Event::Notice { .. }) => {
                if self.words >= MOST_WORDS {
                    self.forget_word();
                }
                self.words += 1;
                self.order.push_back(Item::Word(word));
            }
        }
    }

    fn put_picture(&mut self, picture: Arc<Picture>, changed: Vec<Change>) {
        let place = if let Some(place) = self.places.get(&picture.name) {
            *place
        } else {
            let place = self.pictures.len();
            self.places.insert(picture.name.clone(), place);
            self.pictures.push(None);
            place
        };
        let Some(waiting) = self.pictures.get_mut(place) else {
            return;
        };
        if let Some((old, sum)) = waiting {
            *old = picture;
            for change in changed {
                if !sum.contains(&change) {
                    sum.push(change);
                }
            }
        } else {
            *waiting = Some((picture, changed));
            self.order.push_back(Item::Picture(place));
        }
    }

    /// Drops the oldest step or notice; the end of an action only where nothing else is left to drop.
    fn forget_word(&mut self) {
        let is_word = |item: &Item| matches!(item, Item::Word(_));
        let is_light =
            |item: &Item| matches!(item, Item::Word(Event::Step(_) | Event::Notice { .. }));
        let oldest = self
            .order
            .iter()
            .position(is_light)
            .or_else(|| self.order.iter().position(is_word));
        if let Some(oldest) = oldest {
            self.order.remove(oldest);
            self.words -= 1;
        }
    }

    fn take(&mut self) -> Option<Event> {
        loop {
            match self.order.pop_front()? {
                Item::Word(event) => {
                    self.words -= 1;
                    return Some(event);
                }
                Item::Load => {
                    if let Some(load) = self.load.take() {
                        return Some(Event::Load(load));
                    }
                }
                Item::Picture(place) => {
                    if let Some((picture, changed)) =
                        self.pictures.get_mut(place).and_then(Option::take)
                    {
                        return Some(Event::Picture { picture, changed });
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{Fleet, Moment, State};

    fn picture(name: &str, state: State) -> Arc<Picture> {
        let service = crate::engine::tests::service(name, 1, "live/1s");
        let fleet = Fleet::new(vec![service.rules()], Moment::at_seconds(0.0));
        let mut picture = Picture::clone(&fleet.pictures()[0]);
        picture.state = state;
        Arc::new(picture)
    }

    fn seen(name: &str, state: State, changed: &[Change]) -> Event {
        Event::Picture {
            picture: picture(name, state),
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
    fn drain(feed: &mut Feed) -> Vec<String> {
        std::iter::from_fn(|| feed.try_recv())
            .map(|event| match event {
                Event::Picture { picture, changed } => {
                    format!("{}={} {changed:?}", picture.name, picture.state)
                }
                Event::Load(load) => format!("load {}", load.asked),
                Event::Notice { text, .. } => text,
                other => format!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn of_each_service_the_newest_picture_waits_with_all_that_changed() {
        let (teller, mut feed) = feed();
        teller.tell(seen("a", State::Healthy, &[Change::First]));
        teller.tell(seen("b", State::Healthy, &[]));
        teller.tell(notice("read again"));
        teller.tell(seen("a", State::Degraded, &[Change::State]));
        teller.tell(seen("a", State::Unready, &[Change::State, Change::Flags]));
        assert_eq!(
            drain(&mut feed),
            [
                "a=unready [First, State, Flags]",
                "b=healthy []",
                "read again"
            ]
        );
        teller.tell(seen("a", State::Healthy, &[Change::State]));
        assert_eq!(drain(&mut feed), ["a=healthy [State]"]);
    }

    #[test]
    fn only_the_newest_load_waits() {
        let (teller, mut feed) = feed();
        for asked in 1..=3 {
            teller.tell(Event::Load(Load {
                asked,
                ..Load::default()
            }));
        }
        assert_eq!(drain(&mut feed), ["load 3"]);
    }

    #[test]
    fn words_that_nobody_takes_do_not_grow_without_end() {
        let (teller, mut feed) = feed();
        for number in 0..MOST_WORDS + 3 {
            teller.tell(notice(number.to_string()));
        }
        let waiting = drain(&mut feed);
        assert_eq!(waiting.len(), MOST_WORDS);
        assert_eq!(waiting[0], "3");
    }

    #[tokio::test]
    async fn a_feed_ends_when_the_last_teller_has_gone_and_all_was_taken() {
        let (teller, mut feed) = feed();
        let other = teller.clone();
        drop(teller);
        other.tell(notice("last"));
        drop(other);
        assert!(matches!(feed.recv().await, Some(Event::Notice { .. })));
        assert!(feed.recv().await.is_none());
    }

    #[tokio::test]
    async fn a_reader_that_waits_is_woken_and_a_cancelled_one_loses_nothing() {
        let (teller, mut feed) = feed();
        // Polled once, found nothing, dropped: as a `select!` does.
        assert!(futures_util::FutureExt::now_or_never(feed.recv()).is_none());
        let reader = tokio::spawn(async move { feed.recv().await });
        tokio::task::yield_now().await;
        teller.tell(notice("woken"));
        assert!(matches!(reader.await.unwrap(), Some(Event::Notice { .. })));
    }

    #[test]
    fn without_a_reader_nothing_is_kept() {
        let (teller, feed) = feed();
        drop(feed);
        teller.tell(notice("unheard"));
        assert!(teller.shared.queue().order.is_empty());
    }
}
