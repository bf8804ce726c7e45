//! The supervisor in a world without time and disk: tables for its rules, a property for its promises.

mod checks;
mod files;
mod images;
mod property;
mod several;
mod tables;
mod world;
