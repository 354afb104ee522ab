//! The order in which several services are acted on.

use std::collections::HashSet;

use crate::inventory::Inventory;

/// The targets in the order in which they stop: whoever depends on another, directly or through services that
/// are no targets, stops before it. Otherwise the order given is kept. Names that the inventory does not hold stay.
pub(crate) fn stop_order(inventory: &Inventory, targets: &[String]) -> Vec<String> {
    let wanted: HashSet<&str> = targets.iter().map(String::as_str).collect();
    let mut seen: HashSet<&str> = HashSet::new();
    // Dependencies come first here; the other way round, dependents do.
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

/// Depth first without recursion, so that a long chain cannot exhaust the stack.
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
