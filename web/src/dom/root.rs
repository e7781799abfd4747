//! The page as Leptos sees it: one view.

use super::View;
use super::placed::{Piece, lay};
use leptos::prelude::*;
use leptos::tachys::html::attribute::{Attribute, any_attribute::AnyAttribute};
use leptos::tachys::hydration::Cursor;
use leptos::tachys::view::{Mountable, Position, PositionState, Render, RenderHtml, add_attr::AddAnyAttr};
use web_sys::{Element, Node};

/// The page as Leptos mounts it.
pub struct Root(Box<dyn FnOnce() -> View + Send>);

impl Root {
    /// The page that `f` describes.
    pub fn new(f: impl FnOnce() -> View + Send + 'static) -> Root {
        Root(Box::new(f))
    }
}

/// The page in the document.
pub struct Mounted(Vec<Piece>, Node);

impl Mountable for Mounted {
    fn unmount(&mut self) {
        self.0.drain(..).for_each(Piece::remove);
    }

    fn mount(&mut self, parent: &Element, marker: Option<&Node>) {
        let _ = parent.insert_before(&self.1, marker);
    }

    fn insert_before_this(&self, _: &mut dyn Mountable) -> bool {
        false
    }

    fn elements(&self) -> Vec<Element> {
        Vec::new()
    }
}

impl Render for Root {
    type State = Mounted;

    fn build(self) -> Mounted {
        let nursery = document().create_document_fragment().into();
        let mut pieces = Vec::new();
        lay(&nursery, &mut pieces, (self.0)(), None);
        Mounted(pieces, nursery)
    }

    fn rebuild(self, _: &mut Mounted) {}
}

impl AddAnyAttr for Root {
    type Output<A: Attribute> = Root;

    fn add_any_attr<A: Attribute>(self, _: A) -> Root {
        self
    }
}

// Leptos asks for it of everything that it mounts. There is no server that writes this page.
impl RenderHtml for Root {
    type AsyncOutput = Root;
    type Owned = Root;

    const MIN_LENGTH: usize = 0;

    fn dry_resolve(&mut self) {}

    async fn resolve(self) -> Root {
        self
    }

    fn to_html_with_buf(self, _: &mut String, _: &mut Position, _: bool, _: bool, _: Vec<AnyAttribute>) {}

    fn hydrate<const FROM_SERVER: bool>(self, _: &Cursor, _: &PositionState) -> Mounted {
        self.build()
    }

    fn into_owned(self) -> Root {
        self
    }
}
