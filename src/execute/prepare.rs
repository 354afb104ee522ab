//! From names to a plan: every identity read, every request known, every refusal told; nothing sent.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::sleep;

use super::audit::Audit;
use super::choose::{choose, name, not_foreign, nothing_listens, offer_to_start, refusal};
use super::ending::absent;
use super::identify::{Found, Trace};
use super::owners::find_owners;
use super::{Executor, PreparedAction, Sending, Target, Todo};
use crate::action::{
    APART, Action, ActionPlan, Goal, Method, Refusal, RefusalReason, needs, plan_action, stop_order,
};
use crate::host::pid_file::PidFile;
use crate::host::records::Key;
use crate::inventory::{Inventory, Means, Service, Signal};

/// So long after its end a file that tells of its life may look fresh.
const STILL_FRESH: jiff::SignedDuration = jiff::SignedDuration::from_mins(5);
/// Identities read at once.
const AT_ONCE: usize = 32;

/// One service of a plan that is being made.
struct Asked {
    service: Arc<Service>,
    key: Key,
    plan: ActionPlan,
}

impl Executor {
    /// Reads the identity of each of the services and says what would be sent to it. One that is refused refuses
    /// all: then nothing may be sent to any.
    pub(crate) async fn prepare(
        &self,
        action: Action,
        inventory: &Inventory,
        names: &[String],
    ) -> Result<PreparedAction, Vec<Refusal>> {
        let order = match action {
            // Who depends on whom does not matter where all go on.
            Action::Reload => names.to_vec(),
            _ => stop_order(inventory, names),
        };
        let services: Vec<Arc<Service>> = order
            .iter()
            .filter_map(|name| inventory.services.get(name).cloned())
            .collect();
        self.allowed(action, &services)?;
        let file = inventory.file();
        let mut refusals = Vec::new();
        let mut asked = Vec::new();
        let mut all_found = Vec::new();
        let asking = stream::iter(services).map(|service| self.ask(action, service, &file));
        for result in asking.buffered(AT_ONCE).collect::<Vec<_>>().await {
            match result {
                Ok((one, found)) => {
                    asked.push(one);
                    all_found.push(found);
                }
                Err(refusal) => refusals.push(refusal),
            }
        }
        find_owners(&mut all_found).await;
        let settling = stream::iter(asked.into_iter().zip(all_found))
            .map(|(one, found)| self.settle(action, one, found));
        let mut targets = Vec::new();
        for result in settling.buffered(AT_ONCE).collect::<Vec<_>>().await {
            match result {
                Ok(target) => targets.push(target),
                Err(refusal) => refusals.push(refusal),
            }
        }
        if !refusals.is_empty() {
            return Err(refusals);
        }
        let needs = match action {
            Action::Reload => vec![Vec::new(); targets.len()],
            _ => needs(inventory, &order),
        };
        Ok(PreparedAction {
            action,
            targets,
            needs,
        })
    }

    /// What refuses every service alike.
    fn allowed(&self, action: Action, services: &[Arc<Service>]) -> Result<(), Vec<Refusal>> {
        let all = |reason: String, hint: &str| {
            let refuse = |service: &Arc<Service>| {
                let hint = Some(hint.to_owned());
                refusal(
                    service,
                    action,
                    RefusalReason {
                        reason: reason.clone(),
                        hint,
                    },
                )
            };
            Err(services.iter().map(refuse).collect())
        };
        if self.policy.read_only {
            return all(
                "read-only: actions are switched off".to_owned(),
                "leave out `--read-only` and `HEALTHCTL_READ_ONLY`",
            );
        }
        if let Err(reason) = Audit::open(self.policy.audit.as_deref(), &self.policy.command) {
            return all(reason, "`--no-audit` acts without a record");
        }
        Ok(())
    }

    /// Finds the course and who answers, except for who owns the port: that is searched for all services at once.
    async fn ask(
        &self,
        action: Action,
        service: Arc<Service>,
        file: &Path,
    ) -> Result<(Asked, Found), Refusal> {
        let mut plan = plan_action(&service, action).map_err(|no| refusal(&service, action, no))?;
        if let Some(method) = &mut plan.request {
            method.timeout = self.policy.timeout.unwrap_or(method.timeout);
        }
        let key = Key {
            inventory: file.to_owned(),
            service: service.name.clone(),
        };
        let unresolved = |reason| refusal(&service, action, RefusalReason { reason, hint: None });
        let trace = self.trace(&key).map_err(unresolved)?;
        if plan.goal == Goal::Start
            && (self.policy.records.is_none() || self.policy.program.is_none())
        {
            return Err(unresolved(
                "there is no home directory to record in what is started".to_owned(),
            ));
        }
        let means = plan.request.as_ref().map(|method| &method.means);
        let mut found = Found::asked(&service, means, &self.asker, trace.clone())
            .await
            .map_err(unresolved)?;
        if found.nothing_there() {
            // As for any proof of an end, one look is no look.
            sleep(APART).await;
            found = Found::asked(&service, means, &self.asker, trace)
                .await
                .map_err(unresolved)?;
        }
        let asked = Asked { service, key, plan };
        Ok((asked, found))
    }

    /// What we have recorded of it, where we started it or stopped it.
    pub(super) fn trace(&self, key: &Key) -> Result<Trace, String> {
        let Some(records) = &self.policy.records else {
            return Ok(Trace::default());
        };
        let now = self.clock.now().wall;
        let ended = records.down_since(key);
        Ok(Trace {
            record: records.read(key).map_err(|error| error.to_string())?,
            ended: ended.is_some_and(|at| now.duration_since(at) < STILL_FRESH),
        })
    }

    /// How long it may take to come up after it was started.
    pub(super) fn ready_timeout(&self, service: &Service) -> Duration {
        let declared = service.start.as_ref().map(|start| start.ready_timeout);
        self.policy.timeout.or(declared).unwrap_or_default()
    }

    /// What would be sent, now that all is known.
    async fn settle(
        &self,
        action: Action,
        one: Asked,
        mut found: Found,
    ) -> Result<Target, Refusal> {
        let Asked { service, key, plan } = one;
        if found.is_changing() {
            found = self
                .unchanging(&service, &plan, &key)
                .await
                .map_err(|reason| {
                    refusal(&service, action, RefusalReason { reason, hint: None })
                })?;
        }
        found.settle(&service, &self.asker, self.clock).await;
        let todo = self.todo(action, &service, &plan, &found)?;
        if plan.goal == Goal::Start && matches!(todo, Todo::Send(_)) {
            self.startable(&service, &key).await.map_err(|why| {
                let reason = format!("it could not be started again: {why}");
                refusal(&service, action, RefusalReason { reason, hint: None })
            })?;
        }
        Ok(Target {
            service,
            key,
            found,
            goal: plan.goal,
            todo,
        })
    }

    /// Looks again at one that was just ending, or beginning; at its end in two looks, as for any proof of that.
    async fn unchanging(
        &self,
        service: &Service,
        plan: &ActionPlan,
        key: &Key,
    ) -> Result<Found, String> {
        let means = plan.request.as_ref().map(|method| &method.means);
        let look = async || {
            sleep(APART).await;
            let trace = self.trace(key)?;
            Found::of(service, means, &self.asker, self.clock, trace).await
        };
        let found = look().await?;
        if found.nothing_there() {
            look().await
        } else {
            Ok(found)
        }
    }

    fn todo(
        &self,
        action: Action,
        service: &Service,
        plan: &ActionPlan,
        found: &Found,
    ) -> Result<Todo, Refusal> {
        let refuse = |reason: String, hint: Option<&str>| {
            let hint = hint.map(str::to_owned);
            Err(refusal(service, action, RefusalReason { reason, hint }))
        };
        let start = || {
            let timeout = self.ready_timeout(service);
            Todo::Start(offer_to_start(service, action, found, timeout))
        };
        let gone = found.nothing_there();
        let Some(method) = &plan.request else {
            return match found.draining {
                _ if gone => Ok(start()),
                true => refuse(
                    "it is still stopping".to_owned(),
                    Some("start it when it has stopped, or `restart` it"),
                ),
                false => {
                    runs(service, found).map_err(|no| refusal(service, action, no))?;
                    Ok(Todo::Nothing)
                }
            };
        };
        match plan.goal {
            Goal::Stop if gone => return Ok(Todo::Nothing),
            Goal::Start if gone => return Ok(start()),
            Goal::Reload if gone => {
                return refuse(
                    format!("it does not run: {}", absent(found)),
                    Some("it reads its configuration when it starts"),
                );
            }
            // A supervisor can be told to start what does not run.
            Goal::Replace if gone && !matches!(method.means, Means::Exec(_)) => {
                return refuse(
                    format!("it does not run: {}", absent(found)),
                    Some("what supervises it has to start it"),
                );
            }
            _ => {}
        }
        let signal = by_signal(action, method, found);
        let by_signal = signal.is_some();
        let method = signal.unwrap_or_else(|| method.clone());
        let plan = ActionPlan {
            request: Some(method.clone()),
            ..plan.clone()
        };
        let mut choice = choose(service, action, &plan, &method, found)?;
        if by_signal {
            let means = choice.offer.means;
            choice.offer.means =
                means.replacen("signal", "signal, as nothing listens at its address", 1);
        }
        Ok(Todo::Send(Sending {
            method,
            offer: choice.offer,
            signalled: choice.signalled,
        }))
    }
}

/// SIGTERM, where its route cannot be reached and a process is proved to be its own: one that comes up, or hangs in its
/// end.
fn by_signal(action: Action, method: &Method, found: &Found) -> Option<Method> {
    let Means::Http(request) = &method.means else {
        return None;
    };
    let unreachable = found.place.holds(request) && nothing_listens(found);
    let proved = found.recorded().is_some() || matches!(found.pid_file, Some(PidFile::Proved(_)));
    (action != Action::Reload && unreachable && proved).then(|| Method {
        means: Means::Signal(Signal::Term),
        reply: None,
        declared: true,
        ..method.clone()
    })
}

/// That it runs already, and is the service; or why that cannot be said.
pub(super) fn runs(service: &Service, found: &Found) -> Result<(), RefusalReason> {
    not_foreign(service, found)?;
    if found.processes().is_empty()
        && let Some(probe) = &found.passes
    {
        return Err(RefusalReason {
            reason: format!(
                "its probe `{probe}` passes, so it seems to run, but its process is not known"
            ),
            hint: Some("name its `pid_file`".to_owned()),
        });
    }
    if let Some(left) = found
        .recorded()
        .filter(|_| !found.led && nothing_listens(found))
    {
        return Err(RefusalReason {
            reason: format!("its process has gone and has left {} behind", name(&left)),
            hint: Some("`restart` ends that first, and so does `shutdown`".to_owned()),
        });
    }
    if found.something_there() {
        return Ok(());
    }
    Err(RefusalReason {
        reason: match &found.pid_file {
            Some(PidFile::Unknown(why)) => format!("whether it runs cannot be told: {why}"),
            _ => format!(
                "whether it runs cannot be told: {} neither accepts nor refuses",
                places(found)
            ),
        },
        hint: match &found.pid_file {
            Some(PidFile::Unknown(_)) => Some("delete the file if it has ended".to_owned()),
            _ => None,
        },
    })
}

fn places(found: &Found) -> String {
    let places: Vec<String> = found.endpoints.iter().map(ToString::to_string).collect();
    if places.is_empty() {
        "its address".to_owned()
    } else {
        places.join(" and ")
    }
}
