//! The courses on the page and their exercises: those that come with the program, and those of a file.

use std::cell::OnceCell;
use std::rc::Rc;
use workshop::exercise::{Course, courses, exercise};
use workshop::exercises::TEXTS;
use workshop::{Lab, read_lab};

/// What lists say of an exercise.
#[derive(Clone, Debug)]
pub struct Card {
    /// Its name, as in a link.
    pub name: String,
    /// Its title.
    pub title: String,
    /// Minutes that most people need.
    pub minutes: u32,
    /// How many moves it needs.
    pub par: usize,
}

impl Card {
    fn of(lab: &Lab) -> Option<Card> {
        let e = lab.exercise.as_ref()?;
        Some(Card { name: lab.name.clone(), title: lab.title.clone(), minutes: e.minutes, par: e.par() })
    }
}

/// A lab or an exercise that did not come with the program.
#[derive(Clone, Debug)]
pub struct Own {
    name: String,
    text: Rc<str>,
    card: Option<Card>,
}

impl Own {
    /// A lab with its text.
    pub fn new(lab: &Lab, text: &str) -> Own {
        Own { name: lab.name.clone(), text: text.into(), card: Card::of(lab) }
    }
}

/// All of them. The program's exercises are read once, when somebody asks for one.
#[derive(Clone, Debug)]
pub struct Shelf {
    /// The courses; one of a file comes first.
    pub courses: Vec<Course>,
    cards: Rc<OnceCell<Vec<Card>>>,
    own: Vec<Own>,
    /// The file has an address, so that links need not hold what is in it.
    served: bool,
}

impl Default for Shelf {
    fn default() -> Shelf {
        Shelf { courses: courses(), cards: Rc::default(), own: Vec::new(), served: false }
    }
}

impl Shelf {
    /// With what a file has brought, in the place of what another one has.
    pub fn with(&self, course: Option<Course>, own: Vec<Own>, served: bool) -> Shelf {
        let mut all = courses();
        if let Some(course) = course {
            all.retain(|c| c.name != course.name);
            all.insert(0, course);
        }
        Shelf { courses: all, cards: Rc::clone(&self.cards), own, served }
    }

    fn own(&self, name: &str) -> Option<&Own> {
        self.own.iter().find(|o| o.name == name)
    }

    /// What lists say of this exercise. One of a file comes before one of the same name that came with the program.
    pub fn card(&self, name: &str) -> Option<&Card> {
        if let Some(own) = self.own(name) {
            return own.card.as_ref();
        }
        let all = self
            .cards
            .get_or_init(|| TEXTS.iter().filter_map(|(name, _)| Card::of(&exercise(name)?)).collect());
        all.iter().find(|c| c.name == name)
    }

    /// The exercise of this name.
    pub fn lab(&self, name: &str) -> Option<Lab> {
        match self.own(name) {
            Some(own) => read_lab(&own.text).ok(),
            None => exercise(name),
        }
    }

    /// The text of a lab that did not come with the program.
    pub fn text(&self, name: &str) -> Option<Rc<str>> {
        self.own(name).map(|o| Rc::clone(&o.text))
    }

    /// Whether who has the page's address has this text, too.
    pub fn serves(&self, name: &str, text: &str) -> bool {
        self.served && self.own(name).is_some_and(|o| *o.text == *text)
    }
}
