//! Starts the services of the fleet, keeps a seat for each, and takes all of them along when it ends.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::Child;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::announcement::Announcement;
use super::fleet::{FLEET, Member};
use super::news::News;
use super::order::Reply;
use super::place::{self, Place};
use super::seat::{House, Newcomer, Request, START_LIMIT, Seat};
use super::{Error, Order, code, control, inventory, program};

/// The running fleet. Ends with [`Demo::end`], or when it is dropped, or when this process dies.
#[derive(Debug)]
pub(crate) struct Demo {
    end: CancellationToken,
    // Declared before the place: nobody writes there any more when it is removed.
    seats: JoinSet<()>,
    control: JoinSet<()>,
    news: mpsc::UnboundedReceiver<News>,
    place: Place,
}

/// Where requests go, by the name of the service.
#[derive(Debug, Clone, Default)]
pub(super) struct Crew {
    seats: BTreeMap<&'static str, mpsc::Sender<Request>>,
}

impl Demo {
    /// Starts the fleet and writes its inventory.
    pub(crate) async fn start(calm: bool) -> Result<Self, Error> {
        let place = Place::make()?;
        code::write(&place)?;
        let listener = control::listen(&place.socket())?;
        let (sender, mut news) = mpsc::unbounded_channel();
        let house = House {
            calm,
            control_plane: watch::Sender::new(None),
            news: sender,
            end: CancellationToken::new(),
        };
        let mut crew = Crew::default();
        let mut seats = JoinSet::new();
        for member in FLEET {
            let child = spawn(member, &place)?;
            let (sender, requests) = mpsc::channel(1);
            crew.seats.insert(member.name, sender);
            let pid_file = place.file(&inventory::pid_file(member));
            let seat = Seat::new(member, house.clone(), pid_file, requests, child);
            seats.spawn(seat.keep());
        }
        let mut control = JoinSet::new();
        control.spawn(control::serve(listener, crew));
        let members = timeout(START_LIMIT, all_up(&mut news, &place))
            .await
            .unwrap_or_else(|_| Err(Error::new("the fleet does not start")))?;
        let text = inventory::text(&members, &program::path());
        place::write(&place.inventory(), &text)?;
        Ok(Self {
            end: house.end,
            seats,
            control,
            news,
            place,
        })
    }

    /// The inventory file.
    pub(crate) fn inventory(&self) -> PathBuf {
        self.place.inventory()
    }

    /// The next service that has ended or was started again.
    pub(crate) async fn news(&mut self) -> Option<News> {
        self.news.recv().await
    }

    /// Ends all services and waits until they have gone.
    pub(crate) async fn end(mut self) {
        self.control.shutdown().await;
        self.end.cancel();
        while self.seats.join_next().await.is_some() {}
    }
}

impl Crew {
    /// Has an order carried out and tells what has become of it.
    pub(super) async fn carry_out(&self, order: Order) -> Reply {
        order.check()?;
        let over = || Error::new("the demo is ending");
        let seat = self.seats.get(order.service.as_str()).ok_or_else(over)?;
        let (sender, receiver) = oneshot::channel();
        seat.send(Request::Order(order, sender))
            .await
            .map_err(|_| over())?;
        receiver.await.unwrap_or_else(|_| Err(over()))
    }

    /// Gives a process the seat of this name, once that is free.
    pub(super) async fn seat(&self, name: &str, newcomer: Newcomer) {
        if let Some(seat) = self.seats.get(name) {
            // A demo that is ending lets go of it, which ends it.
            let _ = seat.send(Request::Attach(newcomer)).await;
        }
    }
}

/// Starts a service as anybody else may, who has read the inventory.
fn spawn(member: &Member, place: &Place) -> Result<Child, Error> {
    let name = member.name;
    let failed = |error: std::io::Error| Error::new(format!("cannot start {name}: {error}"));
    let log = File::create(place.file(&inventory::log(name))).map_err(failed)?;
    let mut command = program::command();
    command
        .args(inventory::command(member))
        // What it keeps in files is beside the inventory and goes with it.
        .current_dir(place.path())
        .stdin(Stdio::null())
        .stdout(log.try_clone().map_err(failed)?)
        .stderr(log);
    command.spawn().map_err(failed)
}

/// Waits until every service says where it is; in the order of the fleet.
async fn all_up(
    news: &mut mpsc::UnboundedReceiver<News>,
    place: &Place,
) -> Result<Vec<(&'static Member, Announcement)>, Error> {
    let mut up = BTreeMap::new();
    while up.len() < FLEET.len() {
        match news.recv().await {
            Some(News::Up {
                service,
                announcement,
                ..
            }) => {
                up.insert(service, announcement);
            }
            Some(News::Failed { service } | News::Ended { service, .. }) => {
                let said =
                    fs::read_to_string(place.file(&inventory::log(service))).unwrap_or_default();
                let said = said.trim();
                return Err(Error::new(format!("{service} did not start: {said}")));
            }
            None => return Err(Error::new("the demo is ending")),
        }
    }
    let members = FLEET.iter();
    Ok(members
        .filter_map(|member| Some((member, up.remove(member.name)?)))
        .collect())
}
