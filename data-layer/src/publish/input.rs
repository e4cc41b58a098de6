//! Reads tables in long form: key, item, score. (Coming with the row reader.)
