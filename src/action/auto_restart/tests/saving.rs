//! Code that changes again and again: saved by somebody, or written by the service itself whenever it is started.

use super::*;

/// Between two looks of this simulation.
const STEP: f64 = 0.25;

/// How everything behaves, in seconds.
#[derive(Debug, Clone, Copy, Default)]
struct World {
    /// Between two looks at the files.
    look: f64,
    /// A restart takes so long, of which the first half is its end.
    restart: f64,
    /// The service writes into its sources so long after its start.
    writes: Option<f64>,
    /// It comes up to die a second later.
    dies: bool,
}

/// What happened.
#[derive(Debug, Default)]
struct Account {
    /// When each restart began.
    began: Vec<f64>,
    /// What was said.
    told: Vec<String>,
    /// How long after each save a process ran that has it, or `None`.
    waits: Vec<Option<f64>>,
}

impl World {
    /// Plays so many seconds; the code is saved at these.
    fn play(self, saves: &[f64], until: f64) -> Account {
        let mut scene = Scene::new(vec![permitting("api", "")]);
        let mut account = Account::default();
        let (mut started, mut under_way) = (0.0, None);
        let mut writes: Vec<f64> = Vec::new();
        let mut next_look = 0.0;
        let mut now = 0.0;
        let mut starts = vec![0.0];
        let mut seen = 0.0;
        while now < until {
            if let Some(began) = under_way {
                if now >= began + self.restart / 2.0 && started < began {
                    started = now;
                    starts.push(now);
                    // Nothing is known of the new one before the next look.
                    let said = scene.see(now, "api", &format!("code={seen}"));
                    account.told.extend(said);
                    writes.extend(self.writes.map(|after| now + after));
                }
                if now >= began + self.restart {
                    account.told.extend(scene.end(now, Verdict::Restarted));
                    under_way = None;
                }
            }
            if now >= next_look {
                let changes = saves.iter().chain(&writes).copied();
                let code = changes.filter(|time| *time <= now).fold(0.0, f64::max);
                seen = code;
                let stale = if code > started { "stale" } else { "" };
                let dead = self.dies && under_way.is_none() && started > 0.0 && now > started + 1.0;
                let dead = if dead { "dead" } else { "" };
                let pid = starts.len();
                let said = scene.see(now, "api", &format!("{stale} {dead} code={code} pid={pid}"));
                account.told.extend(said);
                next_look = now + self.look;
            }
            if scene.begin(now).is_some() {
                account.began.push(now);
                under_way = Some(now);
            }
            now += STEP;
        }
        let served = |save: &f64| {
            starts
                .iter()
                .find(|start| *start > save)
                .map(|it| it - save)
        };
        account.waits = saves.iter().map(served).collect();
        account
    }
}

/// Saves about so many seconds apart, each up to `jitter` later than that.
fn saves(apart: f64, jitter: f64, until: f64) -> Vec<f64> {
    let mut number: u32 = 12_345;
    let mut times = Vec::new();
    let mut now = 3.3;
    while now < until {
        times.push(now);
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        now += apart + jitter * f64::from(number >> 16) / 65_536.0;
    }
    times
}

#[test]
fn each_save_leads_to_a_restart_at_once() {
    for apart in [10.0, 11.0, 12.5, 15.0, 20.0, 30.0, 45.0, 60.0] {
        for (look, restart) in [(1.0, 0.5), (1.0, 2.0), (5.0, 0.5), (5.0, 2.0), (2.0, 5.0)] {
            for jitter in [0.0, 5.0] {
                let world = World {
                    look,
                    restart,
                    ..World::default()
                };
                let until = 1800.0;
                let saves = saves(apart, jitter, until);
                let account = world.play(&saves, until + 60.0);
                assert_eq!(account.told, [""; 0], "{world:?} every {apart} s");
                let latest = look + 1.0 + restart + 2.0 * STEP;
                for (save, wait) in saves.iter().zip(&account.waits) {
                    assert!(
                        wait.is_some_and(|wait| wait <= latest),
                        "{world:?} every {apart} s + {jitter}: {save} waits {wait:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_slow_service_is_not_given_up_when_files_are_saved_while_it_starts() {
    for apart in [10.0, 15.0, 30.0, 55.0] {
        for restart in [5.0, 10.0, 20.0, 40.0] {
            let world = World {
                look: 5.0,
                restart,
                ..World::default()
            };
            let (until, jitter) = (3600.0, 4.0);
            let saves = saves(apart, jitter, until);
            let account = world.play(&saves, until + 120.0);
            let given_up = |told: &&String| told.contains("no more");
            assert_eq!(account.told.iter().find(given_up), None, "{world:?}");
            // What is put off is put off until the next save, and no longer.
            let latest = 5.0 + 1.0 + 2.0 * restart + apart + jitter + 4.0;
            let longest = account.waits.iter().map(|wait| wait.unwrap_or(f64::MAX));
            let longest = longest.fold(0.0, f64::max);
            assert!(longest <= latest, "{world:?} every {apart} s: {longest} s");
        }
    }
}

#[test]
fn a_service_that_writes_into_its_own_sources_is_found_out() {
    for (look, restart, writes) in [
        (1.0, 0.5, 0.1),
        (1.0, 1.0, 1.0),
        (5.0, 2.0, 0.5),
        (2.0, 10.0, 6.0),
    ] {
        let world = World {
            look,
            restart,
            writes: Some(writes),
            ..World::default()
        };
        let account = world.play(&[10.0], 3600.0);
        assert_eq!(account.began.len(), 5, "{world:?}: {account:?}");
        let [warning, end] = account.told.as_slice() else {
            panic!("{world:?}: {:?}", account.told);
        };
        assert!(warning.contains("the next one waits for 1m"), "{warning}");
        assert!(
            end.contains("its own sources change each time it is restarted (app.py)"),
            "{end}"
        );
        // From then on a save is one restart, and nothing more is said.
        let account = world.play(&[10.0, 500.0, 1000.0], 3600.0);
        assert_eq!(account.began.len(), 7, "{world:?}: {account:?}");
        assert_eq!(account.told.len(), 2, "{world:?}");
    }
}

#[test]
fn a_service_that_writes_into_its_own_sources_and_dies_is_given_up() {
    let world = World {
        look: 1.0,
        restart: 1.0,
        writes: Some(0.2),
        dies: true,
    };
    let account = world.play(&[10.0], 3600.0);
    assert!(account.began.len() <= 6, "{account:?}");
    let told = account.told.last().unwrap();
    assert!(told.contains("no more follow"), "{account:?}");
}
