//! Recalls whose lists name content.

pub mod item_to_item;
pub mod ranking;
pub mod user_list;
