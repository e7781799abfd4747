//! Regular expressions as grep(1) reads them: POSIX's basic and extended ones with GNU's additions, without back-references.

/// A pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    node: Node,
    /// Letters match whatever their case.
    fold: bool,
}

#[derive(Clone, Debug)]
enum Node {
    Char(char),
    Any,
    /// Whether it is one that is not in the list.
    Class(bool, Vec<(char, char)>),
    /// `^`
    Begin,
    /// `$`
    End,
    /// Where a word begins or ends: `\<`, `\>`, `\b`.
    Edge {
        begins: bool,
        ends: bool,
    },
    All(Vec<Node>),
    One(Vec<Node>),
    /// So many times, at least and at most.
    Repeat(Box<Node>, usize, Option<usize>),
}

/// The places in a text, by whether something can end there.
type Places = Vec<bool>;

/// Nobody asks for more of something.
const MOST: usize = 255;

/// Nor for so many repetitions of repetitions, each of which looks at the whole line.
const MOST_COST: usize = 100_000;

/// Nor for so many groups within each other: each is a call of the reader.
const DEEPEST: usize = 50;

impl Pattern {
    /// `grep -F`: the text itself.
    pub fn fixed(text: &str, fold: bool) -> Pattern {
        Pattern { node: Node::All(text.chars().map(|c| Node::Char(folded(c, fold))).collect()), fold }
    }

    /// Reads a pattern. `Err` is what grep says.
    pub fn read(text: &str, extended: bool, fold: bool) -> Result<Pattern, String> {
        let chars: Vec<char> = text.chars().collect();
        let mut reader = Reader { chars: &chars, at: 0, extended, fold, depth: 0 };
        let node = reader.alternatives()?;
        match reader.peek() {
            None if node.cost() > MOST_COST => Err("Regular expression too big".to_owned()),
            None => Ok(Pattern { node, fold }),
            Some(_) => Err("Unmatched ) or \\)".to_owned()),
        }
    }

    /// A pattern that matches what one of these does.
    pub fn any(patterns: Vec<Pattern>, fold: bool) -> Pattern {
        Pattern { node: Node::One(patterns.into_iter().map(|p| p.node).collect()), fold }
    }

    /// Whether it matches anywhere. `whole` is as for [`Pattern::find`].
    pub fn is_in(&self, text: &str, whole: Whole) -> bool {
        if whole != Whole::Nothing {
            return !self.find(text, whole).is_empty();
        }
        let chars: Vec<char> = text.chars().map(|c| folded(c, self.fold)).collect();
        self.node.ends(&chars, &vec![true; chars.len() + 1]).contains(&true)
    }

    /// What it matches, from left to right. `whole` is what of the text must be matched.
    pub fn find(&self, text: &str, whole: Whole) -> Vec<String> {
        let part = |(from, to): (usize, usize)| text.chars().take(to).skip(from).collect();
        self.places(text, whole).into_iter().map(part).collect()
    }

    /// Where it matches, in characters: the longest from each place, none within another.
    pub fn places(&self, text: &str, whole: Whole) -> Vec<(usize, usize)> {
        let chars: Vec<char> = text.chars().collect();
        let folded: Vec<char> = chars.iter().map(|c| folded(*c, self.fold)).collect();
        let (mut found, mut from) = (Vec::new(), 0);
        while from <= chars.len() {
            let mut starts = vec![false; chars.len() + 1];
            if let Some(start) = starts.get_mut(from) {
                *start = true;
            }
            let ends = self.node.ends(&folded, &starts);
            let fits = |end: &usize| match whole {
                Whole::Nothing => true,
                Whole::Word => {
                    let outside =
                        |at: Option<usize>| !at.and_then(|at| chars.get(at)).is_some_and(|c| is_word(*c));
                    outside(from.checked_sub(1)) && outside(Some(*end))
                }
                Whole::Line => from == 0 && *end == chars.len(),
            };
            let end = (from..=chars.len()).rev().filter(|at| ends.get(*at) == Some(&true)).find(fits);
            match end {
                Some(end) => {
                    found.push((from, end));
                    from = end.max(from + 1);
                }
                None => from += 1,
            }
        }
        found
    }
}

/// What a match has to cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whole {
    /// Any part.
    Nothing,
    /// `-w`: words.
    Word,
    /// `-x`: the line.
    Line,
}

fn folded(c: char, fold: bool) -> char {
    if fold { c.to_ascii_lowercase() } else { c }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

impl Node {
    /// How often it looks at a text at most.
    fn cost(&self) -> usize {
        match self {
            Node::All(nodes) | Node::One(nodes) => {
                nodes.iter().fold(1, |sum, node| node.cost().saturating_add(sum))
            }
            Node::Repeat(node, least, most) => node.cost().saturating_mul(most.unwrap_or(*least).max(2)),
            _ => 1,
        }
    }

    /// Where it can end if it begins at one of these places.
    fn ends(&self, text: &[char], starts: &Places) -> Places {
        match self {
            Node::Char(_) | Node::Any | Node::Class(..) => {
                let mut out = vec![false; starts.len()];
                for (at, c) in text.iter().enumerate() {
                    if starts.get(at) == Some(&true)
                        && self.takes(*c)
                        && let Some(end) = out.get_mut(at + 1)
                    {
                        *end = true;
                    }
                }
                out
            }
            Node::Begin | Node::End | Node::Edge { .. } => {
                starts.iter().enumerate().map(|(at, there)| *there && self.holds(text, at)).collect()
            }
            Node::All(nodes) => nodes.iter().fold(starts.clone(), |places, node| node.ends(text, &places)),
            Node::One(nodes) => {
                let mut out = vec![false; starts.len()];
                for node in nodes {
                    add(&mut out, &node.ends(text, starts));
                }
                out
            }
            Node::Repeat(node, least, most) => {
                let mut places = starts.clone();
                for _ in 0..*least {
                    places = node.ends(text, &places);
                }
                let mut out = places.clone();
                let mut times = *least;
                while most.is_none_or(|most| times < most) {
                    places = node.ends(text, &places);
                    times += 1;
                    if !add(&mut out, &places) {
                        break;
                    }
                }
                out
            }
        }
    }

    fn takes(&self, c: char) -> bool {
        match self {
            Node::Char(own) => *own == c,
            Node::Any => true,
            Node::Class(other, list) => list.iter().any(|(a, b)| (*a..=*b).contains(&c)) != *other,
            _ => false,
        }
    }

    fn holds(&self, text: &[char], at: usize) -> bool {
        let word = |at: Option<usize>| at.and_then(|at| text.get(at)).is_some_and(|c| is_word(*c));
        let (before, behind) = (word(at.checked_sub(1)), word(Some(at)));
        match self {
            Node::Begin => at == 0,
            Node::End => at == text.len(),
            Node::Edge { begins, ends } => *begins && !before && behind || *ends && before && !behind,
            _ => false,
        }
    }
}

/// Whether there is a new one among them.
fn add(all: &mut Places, more: &Places) -> bool {
    let mut new = false;
    for (there, one) in all.iter_mut().zip(more) {
        new |= *one && !*there;
        *there |= *one;
    }
    new
}

struct Reader<'p> {
    chars: &'p [char],
    at: usize,
    extended: bool,
    fold: bool,
    depth: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    /// `(`, `|`, `{` and so on are signs as they are in an extended expression, and behind a backslash in a basic one.
    fn sign(&self) -> Option<char> {
        const SIGNS: &str = "(){}|+?";
        match (self.peek()?, self.chars.get(self.at + 1)) {
            (c, _) if self.extended && SIGNS.contains(c) => Some(c),
            ('\\', Some(c)) if !self.extended && SIGNS.contains(*c) => Some(*c),
            _ => None,
        }
    }

    fn pass_sign(&mut self) {
        self.at += if self.extended { 1 } else { 2 };
    }

    fn alternatives(&mut self) -> Result<Node, String> {
        let mut all = vec![self.sequence()?];
        while self.sign() == Some('|') {
            self.pass_sign();
            all.push(self.sequence()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Node::One(all) })
    }

    fn sequence(&mut self) -> Result<Node, String> {
        let mut all: Vec<Node> = Vec::new();
        while let Some(c) = self.peek() {
            match self.sign() {
                Some('|') => break,
                Some(')') if self.depth > 0 => break,
                // In a basic expression this one has nothing to close; in an extended one it is a letter then.
                Some(')') if !self.extended => break,
                _ => {}
            }
            let repeats = match self.sign() {
                // In an extended expression, one that does not begin an interval is a letter.
                Some('{') if self.extended && !self.interval() => None,
                Some(sign @ ('+' | '?' | '{')) => Some(sign),
                _ => (c == '*').then_some('*'),
            };
            match repeats {
                Some(sign) if !matches!(all.last(), None | Some(Node::Begin)) => {
                    let (least, most) = self.times(sign)?;
                    if let Some(last) = all.pop() {
                        all.push(Node::Repeat(Box::new(last), least, most));
                    }
                }
                // In an extended expression it repeats what matches nothing.
                Some(sign) if self.extended => {
                    self.times(sign)?;
                }
                _ => {
                    let first = all.is_empty();
                    all.push(self.one(c, first)?);
                }
            }
        }
        Ok(Node::All(all))
    }

    /// `{N}` and the like stand here.
    fn interval(&self) -> bool {
        let rest = self.chars.get(self.at + 1..).unwrap_or_default();
        let inner = rest.iter().take_while(|c| c.is_ascii_digit() || **c == ',').count();
        inner > 0 && rest.get(inner) == Some(&'}')
    }

    /// How often: `*`, `+`, `?`, `{N}`, `{N,}`, `{N,M}`, `{,M}`.
    fn times(&mut self, sign: char) -> Result<(usize, Option<usize>), String> {
        if sign == '*' {
            self.at += 1;
            return Ok((0, None));
        }
        self.pass_sign();
        match sign {
            '+' => return Ok((1, None)),
            '?' => return Ok((0, Some(1))),
            _ => {}
        }
        let begin = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_digit() || c == ',') {
            self.at += 1;
        }
        let text: String = self.chars.get(begin..self.at).unwrap_or_default().iter().collect();
        if self.sign() != Some('}') {
            return Err("Unmatched { or \\{".to_owned());
        }
        self.pass_sign();
        let number = |text: &str| text.parse().ok().filter(|n| *n <= MOST);
        let read = match text.split_once(',') {
            None => number(&text).map(|n| (n, Some(n))),
            Some(("", "")) => Some((0, None)),
            Some(("", most)) => number(most).map(|most| (0, Some(most))),
            Some((least, "")) => number(least).map(|least| (least, None)),
            Some((least, most)) => number(least).zip(number(most).map(Some)),
        };
        read.filter(|(least, most)| most.is_none_or(|most| *least <= most))
            .ok_or_else(|| "Invalid content of \\{\\}".to_owned())
    }

    fn one(&mut self, c: char, first: bool) -> Result<Node, String> {
        if self.sign() == Some('(') {
            self.pass_sign();
            self.depth += 1;
            if self.depth > DEEPEST {
                return Err(format!("more than {DEEPEST} groups within each other"));
            }
            let inner = self.alternatives()?;
            if self.sign() != Some(')') {
                return Err("Unmatched ( or \\(".to_owned());
            }
            self.pass_sign();
            self.depth -= 1;
            return Ok(inner);
        }
        self.at += 1;
        Ok(match c {
            '.' => Node::Any,
            '[' => self.class()?,
            '^' if self.extended || first => Node::Begin,
            '$' if self.extended || self.ends_here() => Node::End,
            '\\' => {
                let c = self.peek().ok_or("Trailing backslash")?;
                self.at += 1;
                let word = || vec![('a', 'z'), ('A', 'Z'), ('0', '9'), ('_', '_')];
                let blank = || vec![(' ', ' '), ('\t', '\r')];
                match c {
                    '<' => Node::Edge { begins: true, ends: false },
                    '>' => Node::Edge { begins: false, ends: true },
                    'b' => Node::Edge { begins: true, ends: true },
                    'w' | 'W' => Node::Class(c == 'W', word()),
                    's' | 'S' => Node::Class(c == 'S', blank()),
                    '1'..='9' => return Err(format!("\\{c}: back-references are not modelled")),
                    c => Node::Char(folded(c, self.fold)),
                }
            }
            c => Node::Char(folded(c, self.fold)),
        })
    }

    /// A `$` of a basic expression is one only at the end of its part.
    fn ends_here(&self) -> bool {
        self.peek().is_none() || matches!(self.sign(), Some('|' | ')'))
    }

    /// `[...]` behind its first bracket.
    fn class(&mut self) -> Result<Node, String> {
        const UNMATCHED: &str = "Unmatched [, [^, [:, [., or [=";
        let other = self.peek() == Some('^');
        self.at += usize::from(other);
        let (mut list, begin) = (Vec::new(), self.at);
        loop {
            let c = self.peek().ok_or(UNMATCHED)?;
            self.at += 1;
            match c {
                ']' if self.at > begin + 1 => break,
                '[' if self.peek() == Some(':') => {
                    let rest: String = self.chars.get(self.at + 1..).unwrap_or_default().iter().collect();
                    let (name, _) = rest.split_once(":]").ok_or(UNMATCHED)?;
                    list.extend_from_slice(named(name).ok_or("Invalid character class name")?);
                    self.at += name.chars().count() + 3;
                }
                c => {
                    let to = match (self.peek(), self.chars.get(self.at + 1)) {
                        (Some('-'), Some(to)) if *to != ']' => {
                            self.at += 2;
                            *to
                        }
                        _ => c,
                    };
                    if to < c {
                        return Err("Invalid range end".to_owned());
                    }
                    list.push((c, to));
                }
            }
        }
        if self.fold {
            let both = |(a, b): &(char, char)| (a.to_ascii_lowercase(), b.to_ascii_lowercase());
            let folded: Vec<(char, char)> = list.iter().map(both).filter(|(a, b)| a <= b).collect();
            list.extend(folded);
        }
        Ok(Node::Class(other, list))
    }
}

/// POSIX's classes, in the locale C.
fn named(name: &str) -> Option<&'static [(char, char)]> {
    Some(match name {
        "alnum" => &[('a', 'z'), ('A', 'Z'), ('0', '9')],
        "alpha" => &[('a', 'z'), ('A', 'Z')],
        "digit" => &[('0', '9')],
        "lower" => &[('a', 'z')],
        "upper" => &[('A', 'Z')],
        "blank" => &[(' ', ' '), ('\t', '\t')],
        "space" => &[(' ', ' '), ('\t', '\r')],
        "punct" => &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
        "xdigit" => &[('a', 'f'), ('A', 'F'), ('0', '9')],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{Pattern, Whole};

    fn found(pattern: &str, extended: bool, text: &str) -> Vec<String> {
        Pattern::read(pattern, extended, false).unwrap().find(text, Whole::Nothing)
    }

    #[test]
    fn it_finds_what_grep_finds() {
        // `grep -o` of grep 3.8 printed the same for each, one match a line.
        for (extended, pattern, text, expected) in [
            (false, "KUBE", "-A KUBE-SVC -j KUBE-SEP", "KUBE,KUBE"),
            (false, "a.c", "abc a\tc ac", "abc,a\tc"),
            (false, "^-A", "-A x -A", "-A"),
            (false, "x$", "x$ x", "x"),
            (false, "a*b", "aab b", "aab,b"),
            (false, "*a", "b*a", "*a"),
            (false, "a+", "a+ aa", "a+"),
            (false, r"a\+", "a+ aa", "a,aa"),
            (true, "a+", "a+ aa", "a,aa"),
            (true, "cat|dog", "a dog, a cat", "dog,cat"),
            (false, r"cat\|dog", "a dog, a cat", "dog,cat"),
            (true, "(ab){2,3}", "abababab ab", "ababab"),
            (true, "[0-9]{1,3}\\.[0-9]+", "10.244.1.5", "10.244,1.5"),
            (false, "[^ ]*", "a bc", "a,bc"),
            (false, "[]x]", "a]x", "],x"),
            (false, "[[:digit:]-]", "a1-b", "1,-"),
            (false, r"\bsvc\b", "svc svcs a-svc", "svc,svc"),
            (false, r"\<w", "web aweb", "w"),
            (true, r"\w+", "a_1-b", "a_1,b"),
            (true, "a?", "ba", "a"),
            (true, "(a|b)*c", "abac", "abac"),
            (true, "a{1,x}", "a{1,x} aa", "a{1,x}"),
            (true, "a)", "a) a", "a)"),
            (true, "(a*)*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", ""),
        ] {
            let seen =
                found(pattern, extended, text).into_iter().filter(|m| !m.is_empty()).collect::<Vec<_>>();
            assert_eq!(seen.join(","), expected, "{pattern} in {text}");
        }
    }

    #[test]
    fn words_and_lines_are_whole() {
        let of = |text: &str, whole| Pattern::fixed("web", false).find(text, whole).len();
        assert_eq!((of("web-1 webs", Whole::Word), of("webs", Whole::Word)), (1, 0));
        assert_eq!((of("web", Whole::Line), of("web ", Whole::Line)), (1, 0));
    }

    #[test]
    fn case_is_folded() {
        let of = |pattern: &str, text: &str| {
            Pattern::read(pattern, true, true).unwrap().find(text, Whole::Nothing).len()
        };
        assert_eq!((of("udp", "UDP"), of("[a-c]X", "Bx"), of("[A-C]x", "bX")), (1, 1, 1));
    }

    #[test]
    fn what_grep_refuses() {
        for (pattern, extended, why) in [
            ("[a", false, "Unmatched [, [^, [:, [., or [="),
            ("(a", true, "Unmatched ( or \\("),
            (r"\(a", false, "Unmatched ( or \\("),
            (r"a\)", false, "Unmatched ) or \\)"),
            ("a\\", false, "Trailing backslash"),
            ("[b-a]", false, "Invalid range end"),
            ("[[:no:]]", false, "Invalid character class name"),
            ("a{2,1}", true, "Invalid content of \\{\\}"),
            ("((a{200}){200}){200}", true, "Regular expression too big"),
            (&"(".repeat(100_000), true, "more than 50 groups within each other"),
        ] {
            assert_eq!(Pattern::read(pattern, extended, false).unwrap_err(), why, "{pattern}");
        }
    }
}
