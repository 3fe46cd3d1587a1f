//! The order in which steps run: as they are written, but each behind those it depends on.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::rc::Rc;

use super::Step;

/// For each thing those it depends on.
pub type Links = Vec<Vec<usize>>;

/// Steps of one list by their ids, and what they depend on there.
pub fn links(steps: &[Rc<Step>]) -> Links {
    if steps.iter().all(|step| step.depends_on.is_empty()) {
        return vec![Vec::new(); steps.len()];
    }
    let places: HashMap<&str, usize> =
        steps.iter().enumerate().map(|(at, step)| (step.id.as_ref(), at)).collect();
    let known = |step: &Rc<Step>| {
        step.depends_on.iter().filter_map(|id| places.get(id.as_str()).copied()).collect()
    };
    steps.iter().map(known).collect()
}

/// The places of the steps of one list in the order in which they run; as they are written, if they
/// wait for each other.
pub fn order(steps: &[Rc<Step>]) -> Vec<usize> {
    let order = sorted(&links(steps));
    if order.len() == steps.len() { order } else { (0..steps.len()).collect() }
}

fn put(lists: &mut [Vec<usize>], list: usize, item: usize) {
    if let Some(list) = lists.get_mut(list) {
        list.push(item);
    }
}

/// All places, the least of those that may come next first. What is in a cycle, or depends on one,
/// is left out.
pub fn sorted(links: &Links) -> Vec<usize> {
    if links.iter().all(Vec::is_empty) {
        return (0..links.len()).collect();
    }
    let mut waiting: Vec<usize> = links.iter().map(Vec::len).collect();
    let mut followers: Vec<Vec<usize>> = vec![Vec::new(); links.len()];
    for (at, on) in links.iter().enumerate() {
        on.iter().for_each(|on| put(&mut followers, *on, at));
    }
    let free = waiting.iter().enumerate().filter(|(_, left)| **left == 0);
    let mut ready: BinaryHeap<_> = free.map(|(at, _)| Reverse(at)).collect();
    let mut sorted = Vec::with_capacity(links.len());
    while let Some(Reverse(at)) = ready.pop() {
        sorted.push(at);
        for follower in followers.get(at).into_iter().flatten() {
            let Some(left) = waiting.get_mut(*follower) else { continue };
            *left -= 1;
            if *left == 0 {
                ready.push(Reverse(*follower));
            }
        }
    }
    sorted
}

/// One cycle for each group of things that wait for each other, each from its least place on.
pub fn cycles(links: &Links) -> Vec<Vec<usize>> {
    let mut stuck = vec![true; links.len()];
    for at in sorted(links) {
        if let Some(stuck) = stuck.get_mut(at) {
            *stuck = false;
        }
    }
    let is_stuck = |at: &usize| stuck.get(*at) == Some(&true);
    // Whatever is stuck waits for something that is stuck: following that leads into a cycle.
    let next = |at: usize| links.get(at).into_iter().flatten().copied().find(|on| is_stuck(on));
    let mut seen_from = vec![usize::MAX; links.len()];
    let mut found = Vec::new();
    for start in (0..links.len()).filter(|at| is_stuck(at)) {
        let mut path = Vec::new();
        let mut here = Some(start);
        while let Some(at) = here {
            let Some(seen) = seen_from.get_mut(at) else { break };
            if *seen == start {
                found.extend(path.iter().position(|p| *p == at).map(|from| rotated(&path, from)));
            }
            if *seen != usize::MAX {
                break;
            }
            *seen = start;
            path.push(at);
            here = next(at);
        }
    }
    found
}

/// The end of a path that is a cycle, from its least place on.
fn rotated(path: &[usize], from: usize) -> Vec<usize> {
    let mut cycle = path.get(from..).unwrap_or_default().to_vec();
    let least = cycle.iter().enumerate().min_by_key(|(_, at)| **at).map_or(0, |(i, _)| i);
    cycle.rotate_left(least);
    cycle
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(n: usize) -> Links {
        (0..n).map(|at| if at + 1 < n { vec![at + 1] } else { Vec::new() }).collect()
    }

    #[test]
    fn what_depends_on_nothing_stays_where_it_is() {
        assert_eq!(sorted(&vec![vec![], vec![], vec![]]), [0, 1, 2]);
        assert_eq!(sorted(&vec![vec![3], vec![], vec![1], vec![]]), [1, 2, 3, 0]);
        assert_eq!(sorted(&chain(4)), [3, 2, 1, 0]);
        assert_eq!(sorted(&chain(50_000)).len(), 50_000);
    }

    #[test]
    fn cycles_are_told_once_from_their_least_place() {
        assert!(cycles(&chain(100)).is_empty());
        assert_eq!(cycles(&vec![vec![0]]), [[0]]);
        assert_eq!(cycles(&vec![vec![2], vec![0], vec![1], vec![0]]), [[0, 2, 1]]);
        assert_eq!(cycles(&vec![vec![1], vec![0], vec![3], vec![2]]), [[0, 1], [2, 3]]);
        // Behind a cycle, and before one.
        assert_eq!(cycles(&vec![vec![1], vec![2], vec![1], vec![]]), [[1, 2]]);
        let ring: Links = (0..50_000).map(|at| vec![(at + 1) % 50_000]).collect();
        assert_eq!(cycles(&ring).len(), 1);
    }
}
