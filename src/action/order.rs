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
/// services that are no targets. Otherwise the order given is kept. Names that the inventory does not have stay.
pub(crate) fn stop_order(inventory: &Inventory, targets: &[String]) -> Vec<String> {
    let wanted: HashSet<&str> = targets.iter().map(String::as_str).collect();
    let mut seen: HashSet<&str> = HashSet::new();
    // Dependencies come first here. Reversed, dependents do.
    let mut finished: Vec<&str> = Vec::new();
    for target in targets.iter().rev() {
        visit(inventory, target, &mut seen, &mut finished);
    }
    finished
        .into_iter()
        .rev()
        .filter(|name| wanted.contains(name))
        .map(str::to_owned)
        .collect()
}

/// Visits a service and its dependencies depth first, without recursion: a long chain cannot exhaust the stack.
fn visit<'a>(
    inventory: &'a Inventory,
    start: &'a str,
    seen: &mut HashSet<&'a str>,
    finished: &mut Vec<&'a str>,
) {
    let mut path: Vec<(&str, usize)> = Vec::new();
    if seen.insert(start) {
        path.push((start, 0));
    }
    while let Some((name, next)) = path.pop() {
        let dependency = inventory
            .services
            .get(name)
            .and_then(|service| service.depends_on.get(next));
        match dependency {
            None => finished.push(name),
            Some(dependency) => {
                path.push((name, next + 1));
                if seen.insert(dependency) {
                    path.push((dependency, 0));
                }
            }
        }
    }
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
    fn strangers_keep_their_order() {
        check("a b c", "c a b", "c a b");
        check("a", "a x", "a x");
    }

    #[test]
    fn a_chain_of_ten_thousand_is_no_deeper_than_one() {
        let chain: Vec<String> = (1..10_000)
            .map(|index| format!("s{index}<s{}", index - 1))
            .collect();
        check(&format!("s0 {}", chain.join(" ")), "s0 s9999", "s9999 s0");
    }
}
