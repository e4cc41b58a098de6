//! Laws of this room.
