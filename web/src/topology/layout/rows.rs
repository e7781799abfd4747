//! Rows of nodes under the bars of their LANs.

use super::nodes::node_box;
use super::style::{GAP, LAN_GAP, LAN_H, Style};
use super::{LanBox, Layout, index, int};
use crate::svg::Rect;
use crate::topology::index::Spot;
use crate::topology::scene::{Lan, Node, Scene};
use kernel::{DevId, NetnsId};
use sim::view::Place;

/// Rows of nodes.
pub struct Rows {
    pub rows: Vec<Vec<usize>>,
    /// The first row stands over the bars of the second.
    pub over: bool,
}

/// Each number of rows, and the same with what does not route over the first bars.
pub fn arrangements(scene: &Scene) -> Vec<Rows> {
    let all: Vec<usize> = (0..scene.nodes.len()).collect();
    let plain = |i: &usize| scene.nodes.get(*i).is_some_and(|n| !n.routes);
    let (hosts, others): (Vec<usize>, Vec<usize>) = all.iter().partition(|i| plain(i));
    let mut out: Vec<Rows> = (1..=all.len()).map(|n| Rows { rows: split(&all, n), over: false }).collect();
    if !hosts.is_empty() && !is_direct(scene, &hosts) {
        out.extend((1..=others.len()).map(|n| {
            let mut rows = split(&others, n);
            rows.insert(0, hosts.clone());
            Rows { rows, over: true }
        }));
    }
    out
}

/// So many rows of about as many nodes.
fn split(nodes: &[usize], rows: usize) -> Vec<Vec<usize>> {
    let each = nodes.len().div_ceil(rows).max(1);
    nodes.chunks(each).map(<[usize]>::to_vec).collect()
}

/// Which LANs reach a row.
fn lans_of(scene: &Scene, row: &[usize]) -> Vec<usize> {
    let here = |lan: &Lan| {
        let host =
            |end: &(NetnsId, DevId)| row.iter().any(|n| scene.nodes.get(*n).is_some_and(|n| n.host == end.0));
        lan.ports.iter().any(|(_, end)| host(end))
    };
    (0..scene.lans.len()).filter(|i| scene.lans.get(*i).is_some_and(here)).collect()
}

/// What stands above a row: the bars, and room for the cables.
fn above(lans: usize, direct: bool, style: &Style) -> i32 {
    int(lans) * (LAN_H + LAN_GAP)
        + if lans > 0 { style.air.uplink() - LAN_GAP } else { 0 }
        + if direct { 14 } else { 0 }
}

fn is_direct(scene: &Scene, row: &[usize]) -> bool {
    row.iter().filter_map(|i| scene.nodes.get(*i)).any(|n| n.uplinks.iter().any(|u| u.to.is_some()))
}

impl Rows {
    /// Room for the lines that join bars.
    fn margin(&self, scene: &Scene) -> i32 {
        if self.rows.len() - usize::from(self.over) > 1 { int(scene.lans.len()) * 12 } else { 0 }
    }

    /// The LANs whose bars stand above a row.
    fn lans(&self, scene: &Scene, row: usize) -> Vec<usize> {
        match (self.over, row) {
            (true, 0) => Vec::new(),
            (true, 1) => lans_of(scene, &self.rows.iter().take(2).flatten().copied().collect::<Vec<_>>()),
            _ => lans_of(scene, self.rows.get(row).map_or(&[], Vec::as_slice)),
        }
    }

    /// What stands below a row before the next.
    fn gap(&self, row: usize, style: &Style) -> i32 {
        if self.over && row == 0 { style.air.uplink() } else { style.air.row_gap() }
    }
}

/// The nodes of a row.
fn nodes<'a>(scene: &'a Scene, row: &[usize]) -> Vec<&'a Node> {
    row.iter().filter_map(|i| scene.nodes.get(*i)).collect()
}

/// The least size of these rows.
pub fn size(scene: &Scene, rows: &Rows, style: &Style) -> (i32, i32) {
    let (mut width, mut height, mut gap) = (0, 4, 0);
    for (i, row) in rows.rows.iter().enumerate() {
        let nodes = nodes(scene, row);
        let w: i32 = nodes.iter().map(|n| style.width(n) + GAP).sum();
        let h = nodes.iter().map(|n| style.height(n, style.width(n))).max().unwrap_or(0);
        width = width.max(w);
        height += gap + above(rows.lans(scene, i).len(), is_direct(scene, row), style) + h;
        gap = rows.gap(i, style);
    }
    (width + rows.margin(scene) - GAP + 4, height)
}

/// Draws the rows, widened to this width where they are narrower.
pub fn place(scene: &Scene, rows: &Rows, style: &Style, width: i32) -> Layout {
    let mut out = Layout { hidden: scene.hidden.clone(), ..Layout::default() };
    let left = rows.margin(scene);
    out.lans = scene.lans.iter().zip(0..).map(|(l, i)| lan_box(l, 6 + 12 * i)).collect();
    let gaps = |nodes: usize| GAP * int(nodes.saturating_sub(1));
    let least = |row: &[usize]| nodes(scene, row).iter().map(|n| style.width(n)).sum::<i32>();
    // All rows are widened alike, as the widest one can be.
    let factor = |row: &Vec<usize>| (width - left - 4 - gaps(row.len())) * 1000 / least(row).max(1);
    let factor = rows.rows.iter().map(factor).min().unwrap_or(1000).max(1000);
    let wide = |row: &[usize]| {
        nodes(scene, row).iter().map(|n| style.width(n) * factor / 1000).sum::<i32>() + gaps(row.len())
    };
    let widest = rows.rows.iter().map(|row| wide(row)).max().unwrap_or(0);
    let (mut y, mut first) = (2, 0);
    for (i, row) in rows.rows.iter().enumerate() {
        let lans = rows.lans(scene, i);
        let over = rows.over && i == 0;
        let top = y + above(lans.len(), is_direct(scene, row), style);
        let mut x = left + 2 + if over { (widest - wide(row)) / 2 } else { 0 };
        let mut bottom = top;
        if !rows.over || i != 1 {
            first = out.nodes.len();
        }
        // Those over the bars are all as high, so that their ways out are level.
        let boxes = nodes(scene, row);
        let sizes = boxes.iter().map(|n| {
            let w = style.width(n) * factor / 1000;
            (w, style.height(n, w))
        });
        let highest = sizes.clone().map(|(_, h)| h).max().unwrap_or(0);
        for (node, (w, h)) in boxes.iter().zip(sizes) {
            let rect = Rect { x, y: top, w, h: if over { highest } else { h } };
            out.nodes.push(node_box(node, rect, style, over));
            x += w + GAP;
            bottom = bottom.max(rect.y + rect.h);
        }
        let right = left + 2 + if rows.over && i == 1 { widest } else { wide(row) };
        for (i, lan) in lans.iter().enumerate() {
            let bar = Rect { x: left + 2, y: y + int(i) * (LAN_H + LAN_GAP), w: right - left - 2, h: LAN_H };
            bars(&mut out, scene, *lan, bar, first);
        }
        out.width = out.width.max(right + 2);
        out.height = bottom + 2;
        y = bottom + rows.gap(i, style);
    }
    if !out.hidden.is_empty() {
        out.height += 16;
    }
    index(&mut out);
    out
}

fn lan_box(lan: &Lan, trunk: i32) -> LanBox {
    LanBox { host: lan.host, name: lan.name.clone(), bars: Vec::new(), trunk, cables: Vec::new() }
}

/// A bar of a LAN, and its cables to the nodes from `first` on.
fn bars(out: &mut Layout, scene: &Scene, lan: usize, bar: Rect, first: usize) {
    let (Some(to), Some(from)) = (out.lans.get_mut(lan), scene.lans.get(lan)) else { return };
    to.bars.push(bar);
    for (port, (host, dev)) in &from.ports {
        let Some(node) = out.nodes.get(first..).and_then(|n| n.iter().find(|n| n.host == *host)) else {
            continue;
        };
        let Some(up) = node.uplinks.iter().find(|u| u.dev == *dev) else { continue };
        let (x, end) = up.at;
        let y = if end < bar.y { bar.y } else { bar.y + bar.h };
        to.cables.push((x, y, end));
        out.index.put(Place::Dev(from.host, *port), Spot::narrow((x, y)));
    }
}
