//! From names to a plan: every identity read, every request known, every refusal told; nothing sent.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use tokio::time::sleep;

use super::audit::Audit;
use super::choose::{choose, refusal};
use super::ending::absent;
use super::identify::Found;
use super::owners::find_owners;
use super::{Operator, Prepared, Sending, Target};
use crate::action::{APART, Action, NoWay, Refusal, Way, stop_order, way};
use crate::inventory::{Inventory, Service};

/// Identities read at once.
const AT_ONCE: usize = 32;

impl Operator {
    /// Reads the identity of each of the services and says what would be sent to it. One that is refused refuses
    /// all: then nothing may be sent to any.
    pub(crate) async fn prepare(
        &self,
        action: Action,
        inventory: &Inventory,
        names: &[String],
    ) -> Result<Prepared, Vec<Refusal>> {
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
        let mut refusals = Vec::new();
        let mut asked = Vec::new();
        let mut all_found = Vec::new();
        let asking = stream::iter(services).map(|service| self.ask(action, service));
        for result in asking.buffered(AT_ONCE).collect::<Vec<_>>().await {
            match result {
                Ok((service, way, found)) => {
                    asked.push((service, way));
                    all_found.push(found);
                }
                Err(refusal) => refusals.push(refusal),
            }
        }
        find_owners(&mut all_found).await;
        let settling = stream::iter(asked.into_iter().zip(all_found))
            .map(|((service, way), found)| self.settle(action, service, way, found));
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
        let offers = targets
            .iter()
            .filter_map(|target| target.sending.as_ref())
            .map(|sending| sending.offer.clone())
            .collect();
        Ok(Prepared {
            action,
            offers,
            targets,
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
                    NoWay {
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

    /// Finds the way and who answers, except for who owns the port: that is searched for all services at once.
    async fn ask(
        &self,
        action: Action,
        service: Arc<Service>,
    ) -> Result<(Arc<Service>, Way, Found), Refusal> {
        let mut way = way(&service, action).map_err(|no| refusal(&service, action, no))?;
        way.timeout = self.policy.timeout.unwrap_or(way.timeout);
        let unresolved = |reason| refusal(&service, action, NoWay { reason, hint: None });
        let mut found = Found::asked(&service, &way.means, &self.asker)
            .await
            .map_err(unresolved)?;
        if found.nothing_there() {
            // As for any proof of an end, one look is no look.
            sleep(APART).await;
            found = Found::asked(&service, &way.means, &self.asker)
                .await
                .map_err(unresolved)?;
        }
        Ok((service, way, found))
    }

    /// What would be sent, now that all is known.
    async fn settle(
        &self,
        action: Action,
        service: Arc<Service>,
        way: Way,
        mut found: Found,
    ) -> Result<Target, Refusal> {
        found.settle(&service, &self.asker, self.clock).await;
        let sending = if found.nothing_there() && action == Action::Reload {
            let no = NoWay {
                reason: format!("it does not run: {}", absent(&found)),
                hint: Some("it reads its configuration when it starts".to_owned()),
            };
            return Err(refusal(&service, action, no));
        } else if found.nothing_there() {
            None
        } else {
            let choice = choose(&service, action, &way, &found)?;
            Some(Sending {
                way,
                offer: choice.offer,
                signalled: choice.signalled,
            })
        };
        Ok(Target {
            service,
            found,
            sending,
        })
    }
}
