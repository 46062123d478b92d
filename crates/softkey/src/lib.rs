//! A running software security key
