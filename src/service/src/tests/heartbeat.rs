//! Tests of the heartbeats of an agent without a listener.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::payloads::service;
use crate::{
    Health, Heartbeat, HeartbeatCounts, HeartbeatSchedule, HeartbeatSender, HeartbeatStatus,
    Service, ShutdownCause,
};

const INTERVAL: Duration = Duration::from_secs(10);

/// The behaviour of the receiver.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Other {
    Well,
    Refuses,
    Hangs,
    Panics,
}

struct Scene {
    service: Service,
    heartbeat: HeartbeatSender,
    other: Arc<Mutex<Other>>,
    /// The second at which each heartbeat arrived, and its status.
    beats: Arc<Mutex<Vec<(u64, HeartbeatStatus)>>>,
}

impl Scene {
    fn new() -> Self {
        let service = service("edge-1", "1.4.2");
        let other = Arc::new(Mutex::new(Other::Well));
        let beats = Arc::new(Mutex::new(Vec::new()));
        let (theirs, record, begin) = (Arc::clone(&other), Arc::clone(&beats), Instant::now());
        let pace = HeartbeatSchedule {
            interval: INTERVAL,
            timeout: Duration::from_secs(2),
            failure_threshold: 3,
        };
        let heartbeat = service.send_heartbeats("control-plane", pace, move |beat: Heartbeat| {
            let second = begin.elapsed().as_secs();
            record.lock().unwrap().push((second, beat.status));
            let other = *theirs.lock().unwrap();
            assert_ne!(other, Other::Panics);
            async move {
                match other {
                    Other::Refuses => Err("refused"),
                    Other::Hangs => std::future::pending().await,
                    Other::Well | Other::Panics => Ok(()),
                }
            }
        });
        Self {
            service,
            heartbeat,
            other,
            beats,
        }
    }

    /// Waits for one more heartbeat while the receiver behaves like this.
    async fn beat(&self, other: Other) -> (HeartbeatCounts, Health, Option<String>) {
        *self.other.lock().unwrap() = other;
        sleep(INTERVAL).await;
        let component = self.service.components().remove(0);
        let counts = self.heartbeat.counts();
        (counts, component.health, component.message)
    }
}

fn counts(sent: u64, missed: u64, missed_in_a_row: u64) -> HeartbeatCounts {
    HeartbeatCounts {
        sent,
        missed,
        missed_in_a_row,
    }
}

#[tokio::test(start_paused = true)]
async fn missed_heartbeats_are_counted_and_reported() {
    let scene = Scene::new();
    sleep(Duration::from_secs(5)).await;
    assert_eq!(scene.heartbeat.counts(), counts(1, 0, 0), "one at once");
    let said = |text: &str| Some(text.to_owned());
    let table = [
        (
            Other::Refuses,
            counts(1, 1, 1),
            Health::Degraded,
            said("missed 1: refused"),
        ),
        (
            Other::Hangs,
            counts(1, 2, 2),
            Health::Degraded,
            said("missed 2: timed out after 2s"),
        ),
        (
            Other::Panics,
            counts(1, 3, 3),
            Health::Unhealthy,
            said("missed 3: panicked"),
        ),
        (Other::Well, counts(2, 3, 0), Health::Healthy, None),
    ];
    for (other, counts, health, message) in table {
        assert_eq!(
            scene.beat(other).await,
            (counts, health, message),
            "{other:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_final_heartbeat_is_sent_after_all_clean_up() {
    let scene = Scene::new();
    scene.service.on_shutdown("virtual machines", || async {
        sleep(Duration::from_secs(9)).await;
        Ok::<(), String>(())
    });
    let service = scene.service.clone();
    let running = tokio::spawn(async move { service.run().await });
    sleep(Duration::from_secs(15)).await;
    scene.service.shut_down(ShutdownCause::Program);
    let ended = running.await.unwrap().unwrap();
    let expected = [
        (0, HeartbeatStatus::Running),
        (10, HeartbeatStatus::Running),
        (20, HeartbeatStatus::ShuttingDown),
        (24, HeartbeatStatus::Final),
    ];
    assert_eq!(*scene.beats.lock().unwrap(), expected);
    assert!(ended.drained);
    let names: Vec<&str> = ended.clean_ups.iter().map(|done| &*done.name).collect();
    assert_eq!(names, ["virtual machines", "heartbeat to control-plane"]);
    sleep(INTERVAL * 3).await;
    assert_eq!(scene.beats.lock().unwrap().len(), 4, "no beat follows");
}

#[tokio::test(start_paused = true)]
async fn a_final_heartbeat_that_does_not_arrive_delays_nothing_else() {
    let scene = Scene::new();
    sleep(Duration::from_secs(5)).await;
    *scene.other.lock().unwrap() = Other::Hangs;
    scene.service.shut_down(ShutdownCause::Program);
    let ended = scene.service.run().await.unwrap();
    let final_one = &ended.clean_ups[0];
    let error = final_one.outcome.as_ref().unwrap_err().to_string();
    assert_eq!(error, "the final heartbeat did not arrive");
    assert_eq!(final_one.took, Duration::from_secs(2));
}
