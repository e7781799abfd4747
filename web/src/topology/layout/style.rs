//! How large things are: lengths, and how they grow where there is room.

use super::nodes::badge_lines;
use super::{LETTER, int};
use crate::topology::scene::{Node, Pod, Scene, Uplink};

pub const GAP: i32 = 14;
pub const PAD: i32 = 9;
pub const HEAD: i32 = 24;
pub const LAN_H: i32 = 18;
pub const LAN_GAP: i32 = 6;
pub const STACK_HEAD: i32 = 20;
pub const BADGE_H: i32 = 16;
pub const BRIDGE_H: i32 = 22;
pub const CARD: (i32, i32) = (98, 38);
pub const CHIP: (i32, i32) = (86, 18);
pub const CHIP_GAP: (i32, i32) = (12, 4);
/// More pods on a node than this are chips.
const CARDS: usize = 5;
/// More pods on the map than this are chips everywhere.
const ALL_CARDS: usize = 24;
/// More nodes than this are drawn without what only a close look shows.
const MANY: usize = 12;

/// Lengths that grow where there is room: each as it is at least, and by how much it may grow.
pub struct Air(i32);

impl Air {
    fn of(&self, least: i32, more: i32) -> i32 {
        least + more * self.0 / 100
    }
    pub fn uplink(&self) -> i32 {
        self.of(13, 10)
    }
    pub fn foot(&self, dense: bool) -> i32 {
        if dense { 10 } else { self.of(30, 16) }
    }
    pub fn gap(&self) -> i32 {
        self.of(9, 9)
    }
    pub fn link(&self, chips: bool) -> i32 {
        if chips { 10 } else { self.of(34, 20) }
    }
    pub fn row_gap(&self) -> i32 {
        self.of(16, 14)
    }
}

/// What all nodes of a map have in common.
pub struct Style {
    pub air: Air,
    chips: bool,
    pub dense: bool,
}

fn pods_of(node: &Node) -> impl Iterator<Item = &Pod> {
    node.bridges.iter().flat_map(|b| &b.pods).chain(&node.pods)
}

impl Style {
    /// Of a map with so much room, in percent of what lengths may grow.
    pub fn of(scene: &Scene, air: i32) -> Style {
        let pods: usize = scene.nodes.iter().map(|n| pods_of(n).count()).sum();
        Style { air: Air(air), chips: pods > ALL_CARDS, dense: scene.nodes.len() > MANY }
    }

    pub fn chips_on(&self, node: &Node) -> bool {
        self.chips || pods_of(node).count() > CARDS
    }

    /// Columns of chips for so many pods.
    pub fn columns(count: usize) -> usize {
        let mut columns = 1;
        while columns * columns * 100 < count * 40 {
            columns += 1;
        }
        columns.min(count.max(1))
    }

    /// Groups of pods: those of each bridge, and those that hang on none.
    pub fn groups(node: &Node) -> Vec<(Option<usize>, &[Pod])> {
        let bridged = node.bridges.iter().enumerate().map(|(i, b)| (Some(i), b.pods.as_slice()));
        bridged.chain((!node.pods.is_empty()).then_some((None, node.pods.as_slice()))).collect()
    }

    pub fn group_width(&self, node: &Node, pods: &[Pod]) -> i32 {
        if self.chips_on(node) {
            int(Self::columns(pods.len())) * (CHIP.0 + CHIP_GAP.0)
        } else {
            int(pods.len().max(1)) * (CARD.0 + 8)
        }
    }

    /// The least width of a node.
    pub fn width(&self, node: &Node) -> i32 {
        let groups: i32 = Self::groups(node).iter().map(|(_, p)| self.group_width(node, p)).sum();
        // An address is written without its prefix length where room is dear.
        let short = |addr: &str| addr.find('/').unwrap_or(addr.len());
        let label = |u: &Uplink| int(u.name.len() + short(&u.addr) + 1) * LETTER / 10;
        let head = int(node.name.chars().count()) * 8
            + if node.uplinks.len() == 1 { node.uplinks.iter().map(label).sum() } else { 0 }
            + 46;
        let least = if self.dense { 110 } else { head.clamp(150, 260) };
        (groups + 2 * PAD).max(least)
    }

    pub fn head(&self, node: &Node) -> i32 {
        HEAD + if node.uplinks.len() > 1 { 14 } else { 0 }
    }

    pub fn stack_height(&self, node: &Node, width: i32) -> i32 {
        let lines = if self.dense { 0 } else { badge_lines(node, width) };
        STACK_HEAD + int(lines) * BADGE_H + self.air.foot(self.dense)
    }

    /// The height of a node of this width.
    pub fn height(&self, node: &Node, width: i32) -> i32 {
        let mut h = self.head(node);
        if !node.routes {
            return h + self.air.foot(self.dense) + 2;
        }
        h += self.stack_height(node, width - 2 * PAD) + PAD;
        if !node.bridges.is_empty() {
            h += self.air.gap() + BRIDGE_H;
        }
        let chips = self.chips_on(node);
        let pods = Self::groups(node).iter().map(|(_, pods)| self.pods_height(pods.len(), chips)).max();
        h + pods.unwrap_or(0)
    }

    fn pods_height(&self, count: usize, chips: bool) -> i32 {
        match (count, chips) {
            (0, _) => 0,
            (_, false) => self.air.link(false) + CARD.1,
            (_, true) => {
                self.air.link(true) + int(count.div_ceil(Self::columns(count))) * (CHIP.1 + CHIP_GAP.1)
            }
        }
    }
}
