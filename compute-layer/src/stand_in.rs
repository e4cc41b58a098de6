//! Stand-ins for what data-layer is about to offer. Goes away with its landing.
#![allow(missing_docs, dead_code)]
use data_layer::types::{Id, Millis, Ordinal, Value, ValueType};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    pub item: Ordinal,
    pub score: f32,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldId(pub u32);
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    Bool(bool),
    Int(i64),
    Float(f64),
    String(u32),
    Strings(&'a [u32]),
    Vector(&'a [f32]),
    Geo { lat: f64, lon: f64 },
}
#[derive(Debug, Clone, Copy, Default)]
pub struct Row(pub [f32; 16]);
impl Row {
    pub fn positive(&self) -> f32 {
        self.0[0]
    }
    pub fn interactions(&self) -> f32 {
        self.0[1]
    }
    pub fn impressions(&self) -> f32 {
        self.0[2]
    }
    pub fn created(&self) -> f32 {
        self.0[3]
    }
    pub fn last(&self) -> f32 {
        self.0[4]
    }
    pub fn count_within(&self, days: u32, now_ms: Millis) -> f32 {
        let _ = now_ms;
        self.0[6..6 + days.min(8) as usize].iter().sum()
    }
}
pub trait Items: Send + Sync {
    fn len(&self) -> usize;
    fn ordinal(&self, id: &str) -> Option<Ordinal>;
    fn id(&self, o: Ordinal) -> &Id;
    fn tie(&self, o: Ordinal) -> u64;
    fn can_serve(&self, o: Ordinal, now_ms: Millis) -> bool;
    fn row(&self, o: Ordinal) -> &Row;
    fn field(&self, name: &str) -> Option<FieldId>;
    fn field_type(&self, f: FieldId) -> ValueType;
    fn cell(&self, f: FieldId, o: Ordinal) -> Option<Cell<'_>>;
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActionId(pub u8);
#[derive(Debug, Clone)]
pub struct Acted {
    pub item: Ordinal,
    pub action: ActionId,
    pub value: f32,
    pub time: Millis,
}
#[derive(Debug, Clone, Default)]
pub struct UserState {
    pub actions: Vec<Acted>,
    pub attributes: BTreeMap<String, Value>,
}
#[derive(Debug, Clone, Default)]
pub struct Actions(pub Vec<(String, Option<f64>)>);
impl Actions {
    pub fn weight(&self, id: ActionId, value: f64) -> f32 {
        self.0.get(usize::from(id.0)).map_or(0.0, |(_, w)| w.unwrap_or(value)) as f32
    }
}
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Merge {
    #[default]
    Replace,
    Sum,
    Union,
}
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListSpec {
    pub table: String,
    #[serde(default)]
    pub live: Option<String>,
    #[serde(default)]
    pub merge: Merge,
    #[serde(default)]
    pub live_weight: f32,
}
#[derive(Debug, Clone, Default)]
pub struct ModelFile {
    pub format: u32,
    pub name: String,
    pub family: String,
    pub features: Vec<String>,
    pub tensors: BTreeMap<String, Vec<f64>>,
}
