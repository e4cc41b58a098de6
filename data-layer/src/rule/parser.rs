//! Tokens to a tree with places. Knows no schema.

use super::lexer::{Kind, Token};
use super::{MOST_DEPTH, RuleError};

/// Part of a rule and the bytes it came from.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tree {
    pub(super) node: Node,
    pub(super) at: usize,
    pub(super) len: usize,
}

/// What a part is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Tree>),
    Name(Vec<String>),
    Not(Box<Tree>),
    And(Vec<Tree>),
    Or(Vec<Tree>),
    Compare(Box<Tree>, Op, Box<Tree>),
    In(Box<Tree>, Box<Tree>),
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Equal,
    Unequal,
    Less,
    LessEqual,
    More,
    MoreEqual,
}

const OPS: [(&str, Op); 6] = [
    ("==", Op::Equal),
    ("!=", Op::Unequal),
    ("<=", Op::LessEqual),
    (">=", Op::MoreEqual),
    ("<", Op::Less),
    (">", Op::More),
];

pub(super) fn parse(text: &str, tokens: &[Token]) -> Result<Tree, RuleError> {
    let mut parser = Parser { tokens, next: 0, end: text.len(), depth: 0 };
    let tree = parser.or()?;
    match parser.peek() {
        None => Ok(tree),
        Some(token) => Err(parser.stray(token)),
    }
}

struct Parser<'a> {
    tokens: &'a [Token],
    next: usize,
    end: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.next)
    }

    fn sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Some(Token { kind: Kind::Sign(s), .. }) if *s == sign);
        self.next += usize::from(found);
        found
    }

    fn or(&mut self) -> Result<Tree, RuleError> {
        self.chain("||", Self::and, Node::Or)
    }

    fn and(&mut self) -> Result<Tree, RuleError> {
        self.chain("&&", Self::relation, Node::And)
    }

    fn chain(
        &mut self,
        sign: &str,
        part: fn(&mut Self) -> Result<Tree, RuleError>,
        make: fn(Vec<Tree>) -> Node,
    ) -> Result<Tree, RuleError> {
        let first = part(self)?;
        let mut parts = vec![first];
        while self.sign(sign) {
            parts.push(part(self)?);
        }
        if parts.len() == 1 {
            return Ok(parts.remove(0));
        }
        let (at, end) = (parts[0].at, parts[parts.len() - 1].end());
        Ok(Tree { node: make(parts), at, len: end - at })
    }

    fn relation(&mut self) -> Result<Tree, RuleError> {
        let left = self.unary()?;
        let Some(relation) = self.relation_sign() else { return Ok(left) };
        let right = self.unary()?;
        if let Some(token) = self.peek().filter(|_| self.clone_sign().is_some()) {
            let wrong = RuleError::new(token.at, token.len, "comparisons can't be chained");
            return Err(wrong.hint("write `a < b && b < c`"));
        }
        let (at, len) = (left.at, right.end() - left.at);
        let (left, right) = (Box::new(left), Box::new(right));
        let node = match relation {
            Some(op) => Node::Compare(left, op, right),
            None => Node::In(left, right),
        };
        Ok(Tree { node, at, len })
    }

    /// `Some(None)` is `in`.
    fn clone_sign(&self) -> Option<Option<Op>> {
        match &self.peek()?.kind {
            Kind::Sign(sign) => OPS.iter().find(|(s, _)| s == sign).map(|(_, op)| Some(*op)),
            Kind::Name(name) if name == "in" => Some(None),
            _ => None,
        }
    }

    fn relation_sign(&mut self) -> Option<Option<Op>> {
        let found = self.clone_sign();
        self.next += usize::from(found.is_some());
        found
    }

    fn unary(&mut self) -> Result<Tree, RuleError> {
        self.depth += 1;
        let tree = match self.peek() {
            Some(token) if self.depth > MOST_DEPTH => {
                let detail = format!("expected at most {MOST_DEPTH} levels of nesting");
                Err(RuleError::new(token.at, token.len, detail))
            }
            Some(token) if self.sign("!") => self.unary().map(|inner| Tree {
                at: token.at,
                len: inner.end() - token.at,
                node: Node::Not(Box::new(inner)),
            }),
            _ => self.primary(),
        };
        self.depth -= 1;
        tree
    }

    fn primary(&mut self) -> Result<Tree, RuleError> {
        let Some(token) = self.peek() else {
            let found = if self.tokens.is_empty() { "an empty rule" } else { "the end" };
            return Err(RuleError::new(self.end, 0, format!("expected a value or a name, found {found}")));
        };
        if matches!(token.kind, Kind::Sign("(")) {
            return self.group(token);
        }
        if matches!(token.kind, Kind::Sign("[")) {
            return self.list(token);
        }
        self.next += 1;
        let node = match &token.kind {
            Kind::Int(i) => Node::Int(*i),
            Kind::Float(f) => Node::Float(*f),
            Kind::Text(text) => Node::Text(text.clone()),
            Kind::Name(name) => return self.name(token, name),
            Kind::Sign(_) => return Err(self.stray(token)),
        };
        Ok(Tree { node, at: token.at, len: token.len })
    }

    fn group(&mut self, open: &Token) -> Result<Tree, RuleError> {
        self.next += 1;
        let inner = self.or()?;
        if !self.sign(")") {
            return Err(self.unclosed(open, ")"));
        }
        Ok(Tree { node: inner.node, at: open.at, len: self.last_end() - open.at })
    }

    fn list(&mut self, open: &Token) -> Result<Tree, RuleError> {
        self.next += 1;
        let mut entries = Vec::new();
        while !self.sign("]") {
            if !entries.is_empty() && !self.sign(",") {
                return Err(self.unclosed(open, "]"));
            }
            if self.sign("]") {
                break;
            }
            entries.push(self.unary()?);
        }
        Ok(Tree { node: Node::List(entries), at: open.at, len: self.last_end() - open.at })
    }

    fn name(&mut self, token: &Token, name: &str) -> Result<Tree, RuleError> {
        let tree = |node| Ok(Tree { node, at: token.at, len: token.len });
        let wrong = |detail: String| Err(RuleError::new(token.at, token.len, detail));
        match name {
            "true" => return tree(Node::Bool(true)),
            "false" => return tree(Node::Bool(false)),
            "in" => return wrong("expected a value or a name, found `in`".to_owned()),
            "null" => {
                return Err(RuleError::new(
                    token.at,
                    token.len,
                    "`null` is not supported: an absent attribute is unknown",
                )
                .hint("a comparison with it does not pass, whichever way it is asked"));
            }
            _ => {}
        }
        let mut path = vec![name.to_owned()];
        while self.sign(".") {
            match self.peek() {
                Some(Token { kind: Kind::Name(part), .. }) => path.push(part.clone()),
                found => return Err(self.expected("a name after `.`", found)),
            }
            self.next += 1;
        }
        match self.peek() {
            Some(Token { kind: Kind::Sign("("), .. }) => {
                wrong(format!("function `{}` is not supported by this version", path.join(".")))
            }
            Some(Token { kind: Kind::Sign("["), .. }) => {
                wrong("indexing is not supported by this version".to_owned())
            }
            _ => Ok(Tree { node: Node::Name(path), at: token.at, len: self.last_end() - token.at }),
        }
    }

    fn last_end(&self) -> usize {
        self.next.checked_sub(1).and_then(|at| self.tokens.get(at)).map_or(self.end, |t| t.at + t.len)
    }

    fn unclosed(&self, open: &Token, close: &str) -> RuleError {
        match self.peek() {
            None => RuleError::new(open.at, open.len, format!("this has no closing `{close}`")),
            Some(token) => self.stray(token),
        }
    }

    fn expected(&self, wanted: &str, found: Option<&Token>) -> RuleError {
        match found {
            Some(token) => RuleError::new(token.at, token.len, format!("expected {wanted}")),
            None => RuleError::new(self.end, 0, format!("expected {wanted}, found the end")),
        }
    }

    fn stray(&self, token: &Token) -> RuleError {
        let shown = match &token.kind {
            Kind::Name(name) => name.clone(),
            Kind::Int(i) => i.to_string(),
            Kind::Float(f) => f.to_string(),
            Kind::Text(text) => format!("{text:?}"),
            Kind::Sign(sign) => (*sign).to_owned(),
        };
        let error = RuleError::new(token.at, token.len, format!("unexpected `{shown}`"));
        match shown.to_ascii_lowercase().as_str() {
            "and" => error.hint("write `&&`"),
            "or" => error.hint("write `||`"),
            "not" => error.hint("write `!`"),
            "is" => error.hint("write `==`"),
            _ => error,
        }
    }
}

impl Tree {
    pub(super) fn end(&self) -> usize {
        self.at + self.len
    }
}
