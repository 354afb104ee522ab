use super::*;
use crate::action::{needs, samples};

/// Plays a plan for `services` (`web<api api<db db`, in stop order; `!` behind a name: something else starts it again,
/// `^`: it is only started, `_`: it is only stopped). Returns what was begun, `name-` for a stop and `name+` for a start,
/// those at once within brackets, and at the end what was skipped. The phases in `failing` fail; `!!` behind one
/// interrupts the plan when that ends.
fn play(services: &str, policy: RolloutPolicy, failing: &str) -> String {
    let plain: String = services.chars().filter(|c| !"!^_".contains(*c)).collect();
    let inventory = samples::inventory(&plain);
    let names: Vec<String> = inventory.services.keys().cloned().collect();
    let needs = needs(&inventory, &names);
    let marks: Vec<&str> = services
        .split(' ')
        .map(|entry| entry.split('<').next().unwrap())
        .collect();
    let nodes = names
        .iter()
        .zip(needs)
        .zip(marks)
        .map(|((name, needs), mark)| RolloutNode {
            name: name.clone(),
            stops: !mark.contains(['!', '^']),
            starts: !mark.contains('_'),
            is_replaced: mark.contains('!'),
            needs,
        })
        .collect();
    let mut rollout = Rollout::new(nodes, policy);
    let rehearsed: Vec<RolloutTask> = rollout.clone().rehearsed();
    let mut played: Vec<RolloutTask> = Vec::new();
    let mut story: Vec<String> = Vec::new();
    loop {
        let mut wave = Vec::new();
        while let Some(task) = rollout.begin() {
            wave.push(task);
        }
        if wave.is_empty() {
            break;
        }
        played.extend(&wave);
        let shown: Vec<String> = wave
            .iter()
            .map(|task| {
                let sign = if task.phase == ActionPhase::Stop {
                    '-'
                } else {
                    '+'
                };
                format!("{}{sign}", names[task.node])
            })
            .collect();
        for (task, shown) in wave.iter().zip(&shown) {
            let fails = failing.split(' ').any(|name| name == shown);
            let verdict = if fails {
                Verdict::StillAnswering
            } else {
                Verdict::Stopped
            };
            rollout.ended(*task, verdict);
            if failing.contains(&format!("{shown}!!")) {
                rollout.interrupt();
            }
        }
        story.push(match shown.as_slice() {
            [one] => one.clone(),
            several => format!("[{}]", several.join(" ")),
        });
    }
    if failing.is_empty() && policy.parallel == 1 {
        assert_eq!(
            rehearsed, played,
            "what is shown beforehand is what is done"
        );
    }
    for (index, name) in names.iter().enumerate() {
        if let Some((phase, why)) = rollout.skipped(index) {
            story.push(format!("; {name} {phase:?}: {why}"));
        }
    }
    story.join(" ").replace(" ;", ";")
}

fn at_once(parallel: usize) -> RolloutPolicy {
    RolloutPolicy {
        parallel,
        ..RolloutPolicy::default()
    }
}

#[test]
fn dependents_stop_first_and_start_last() {
    let chain = "web<api api<db db";
    let story = "web- api- db- db+ api+ web+";
    assert_eq!(play(chain, at_once(1), ""), story);
    assert_eq!(play(chain, at_once(9), ""), story);
    assert_eq!(
        play("web_<api api_<db db_", at_once(2), ""),
        "web- api- db-"
    );
    assert_eq!(
        play("web^<api api^<db db^", at_once(2), ""),
        "db+ api+ web+"
    );
}

#[test]
fn independent_services_are_restarted_one_after_the_other_or_at_once() {
    assert_eq!(play("a b", at_once(1), ""), "a- a+ b- b+");
    assert_eq!(play("a b", at_once(2), ""), "[a- b-] [b+ a+]");
    assert_eq!(play("a b c", at_once(2), ""), "[a- b-] [b+ a+] c- c+");
}

#[test]
fn a_service_that_is_no_target_passes_on_a_dependency() {
    let inventory = samples::inventory("web<api api<db db");
    let targets = ["web".to_owned(), "db".to_owned()];
    assert_eq!(needs(&inventory, &targets), [vec![1], vec![]]);
}

#[test]
fn a_service_is_replaced_while_its_dependents_are_stopped() {
    assert_eq!(play("web<db db!", at_once(1), ""), "web- db+ web+");
    assert_eq!(play("web!<db db", at_once(1), ""), "db- db+ web+");
}

#[test]
fn after_a_failed_stop_no_service_is_stopped_and_stopped_ones_are_started_again() {
    let chain = "web<api api<db db x";
    assert_eq!(
        play(chain, at_once(1), "api-"),
        "web- api- web+\
         ; api Start: it has not stopped\
         ; db Stop: nothing was sent: api ended as still-answering; `--keep-going` continues after a failure\
         ; x Stop: nothing was sent: api ended as still-answering; `--keep-going` continues after a failure"
    );
    let leave = RolloutPolicy {
        leave_stopped: true,
        ..at_once(1)
    };
    assert_eq!(
        play("web<api api", leave, "api-"),
        "web- api-\
         ; web Start: it was stopped and is left stopped, as requested\
         ; api Start: it has not stopped"
    );
    let keep = RolloutPolicy {
        keep_going: true,
        ..at_once(1)
    };
    assert_eq!(
        play(chain, keep, "api-"),
        "web- api- web+ x- x+\
         ; api Start: it has not stopped\
         ; db Stop: nothing was sent: api, which needs it, has not stopped"
    );
}

#[test]
fn only_services_that_are_stopped_when_a_stop_fails_are_left_stopped() {
    let leave = RolloutPolicy {
        leave_stopped: true,
        keep_going: true,
        ..at_once(1)
    };
    assert_eq!(
        play("a b c", leave, "a-"),
        "a- b- b+ c- c+; a Start: it has not stopped"
    );
    assert_eq!(
        play("web<api api b", leave, "api-"),
        "web- api- b- b+\
         ; web Start: it was stopped and is left stopped, as requested\
         ; api Start: it has not stopped"
    );
    // A start that fails leaves nothing down.
    assert_eq!(play("a b c", leave, "a+"), "a- a+ b- b+ c- c+");
    // Nor does a stop leave what is stopped only after it.
    let at_once = RolloutPolicy {
        parallel: 2,
        ..leave
    };
    assert_eq!(
        play("a b c", at_once, "a-"),
        "[a- b-] [b+ c-] c+; a Start: it has not stopped"
    );
    // Something else is asked to replace `db`, and it stays.
    assert_eq!(play("a db!", at_once, "db+"), "[db+ a-] a+");
}

#[test]
fn a_failed_start_leaves_its_dependents_unstarted() {
    assert_eq!(
        play("web<api api<db db", at_once(1), "db+"),
        "web- api- db- db+\
         ; web Start: it was stopped and not started again: api, which it needs, did not come up\
         ; api Start: it was stopped and not started again: db, which it needs, did not come up"
    );
    assert_eq!(
        play("web^<db x^ db^", at_once(1), "db+"),
        "db+ x+; web Start: nothing was done: db, which it needs, did not come up"
    );
    // A service that was down is started although another one has not stopped; of those that run, no other is stopped.
    assert_eq!(
        play("a b c^", at_once(1), "a-"),
        "c+ a-; a Start: it has not stopped; b Stop: nothing was sent: a ended as still-answering; `--keep-going` continues after a failure"
    );
    assert_eq!(
        play("a b! c", at_once(1), "b+"),
        "b+; a Stop: nothing was sent: b ended as still-answering; `--keep-going` continues after a failure; c Stop: nothing was sent: b ended as still-answering; `--keep-going` continues after a failure"
    );
}

#[test]
fn nothing_begins_after_an_interruption() {
    assert_eq!(
        play("web<api api<db db", at_once(1), "web-!!"),
        "web-\
         ; web Start: it was stopped and not started again: interrupted\
         ; api Stop: nothing was sent: interrupted\
         ; db Stop: nothing was sent: interrupted"
    );
    assert_eq!(
        play("web^<db db^", at_once(1), "db+!!"),
        "db+; web Start: nothing was done: interrupted"
    );
}
