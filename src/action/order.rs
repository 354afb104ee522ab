//! What services need each other, and the order in which several of them are acted on.

use std::collections::HashSet;

use crate::inventory::Inventory;

/// Returns the names of all services that a service needs, directly or through others.
pub(super) fn transitive_needs<'a>(inventory: &'a Inventory, service: &'a str) -> HashSet<&'a str> {
    let mut found = HashSet::new();
    let mut open = vec![service];
    while let Some(name) = open.pop() {
        let service = inventory.services.get(name);
        for need in service.iter().flat_map(|service| &service.depends_on) {
            if found.insert(need.as_str()) {
                open.push(need);
            }
        }
    }
    found
}

/// Returns the services that have to run for `targets` to be ready, the targets left out: all that they need, directly or
/// through others, in inventory order.
pub(crate) fn needed_beside(inventory: &Inventory, targets: &[String]) -> Vec<String> {
    let needs = targets
        .iter()
        .map(|target| transitive_needs(inventory, target));
    let needs: HashSet<&str> = needs.flatten().collect();
    let names = inventory.services.keys();
    let names = names.filter(|name| needs.contains(name.as_str()) && !targets.contains(name));
    names.cloned().collect()
}

/// Returns for each target the numbers of the other targets that it needs, directly or through services that are no
/// targets.
pub(crate) fn needs(inventory: &Inventory, targets: &[String]) -> Vec<Vec<usize>> {
    targets
        .iter()
        .map(|target| {
            let needs = transitive_needs(inventory, target);
            let numbered = targets.iter().enumerate();
            numbered
                .filter(|(_, other)| other != &target && needs.contains(other.as_str()))
                .map(|(number, _)| number)
                .collect()
        })
        .collect()
}

/// Returns the targets in the order in which they stop: a service stops before those that it needs, directly or through
/// services that are no targets. Otherwise the order given is kept.
pub(crate) fn stop_order(inventory: &Inventory, targets: &[String]) -> Vec<String> {
    let needs = needs(inventory, targets);
    let mut dependents = vec![0_usize; targets.len()];
    for need in needs.iter().flatten() {
        dependents[*need] += 1;
    }
    let mut waiting: Vec<usize> = (0..targets.len()).collect();
    let mut order = Vec::new();
    while !waiting.is_empty() {
        let free = waiting.iter().position(|target| dependents[*target] == 0);
        // An inventory has no cycles, so there is always a free one.
        let target = waiting.remove(free.unwrap_or_default());
        for need in &needs[target] {
            dependents[*need] -= 1;
        }
        order.push(targets[target].clone());
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::samples;

    /// `inventory` is `name<dependency,dependency` for each service; `targets` and `expected` are names.
    fn check(inventory: &str, targets: &str, expected: &str) {
        let inventory = samples::inventory(inventory);
        let targets: Vec<String> = targets.split(' ').map(str::to_owned).collect();
        let ordered = stop_order(&inventory, &targets).join(" ");
        assert_eq!(ordered, expected, "{targets:?}");
    }

    #[test]
    fn dependents_stop_first() {
        check("web<api api<db db", "web api db", "web api db");
        check("web<api api<db db", "db api web", "web api db");
        check("db api<db web<api", "db web", "web db");
        check("a<c b<c c", "c a b", "a b c");
        check("a<b,c b<d c<d d", "d c b a", "a c b d");
    }

    #[test]
    fn independent_services_keep_their_order() {
        check("a b c", "c a b", "c a b");
        check("a", "a x", "a x");
    }

    #[test]
    fn what_is_needed_beside_the_targets_is_found_through_others() {
        let inventory = samples::inventory("web<api,cache api<db db cache lonely");
        let beside = |targets: &[&str]| {
            let targets: Vec<String> = targets.iter().map(|name| (*name).to_owned()).collect();
            needed_beside(&inventory, &targets).join(" ")
        };
        assert_eq!(beside(&["web"]), "api db cache");
        assert_eq!(beside(&["web", "api"]), "db cache");
        assert_eq!(beside(&["db", "lonely"]), "");
    }

    #[test]
    fn a_chain_of_ten_thousand_does_not_exhaust_the_stack() {
        let chain: Vec<String> = (1..10_000)
            .map(|index| format!("s{index}<s{}", index - 1))
            .collect();
        check(&format!("s0 {}", chain.join(" ")), "s0 s9999", "s9999 s0");
    }
}
