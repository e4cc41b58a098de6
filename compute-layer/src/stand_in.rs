//! Stand-ins for what data-layer is about to offer. Goes away with its landing.
#![allow(missing_docs)]
use std::collections::BTreeMap;

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
