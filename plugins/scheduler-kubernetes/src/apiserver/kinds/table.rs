//! Columns of tables.

/// A column of a kind's table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// The header; clients upper-case it.
    pub name: &'static str,
    /// `string`, `integer`.
    pub kind: &'static str,
    /// `name` for the column that names the object.
    pub format: &'static str,
    /// 0 is always shown, 1 only in wide tables.
    pub priority: u8,
    /// What it says.
    pub description: &'static str,
}

impl Column {
    /// A text that is always shown.
    pub(super) const fn text(name: &'static str, description: &'static str) -> Self {
        Self {
            name,
            kind: "string",
            format: "",
            priority: 0,
            description,
        }
    }

    /// A number that is always shown.
    pub(super) const fn number(name: &'static str, description: &'static str) -> Self {
        Self {
            kind: "integer",
            ..Self::text(name, description)
        }
    }

    /// The same, only in wide tables.
    pub(super) const fn wide(self) -> Self {
        Self { priority: 1, ..self }
    }

    /// The same, naming the object.
    pub(super) const fn naming(self) -> Self {
        Self {
            format: "name",
            ..self
        }
    }
}

/// The column with the object's name.
pub const fn name_column() -> Column {
    Column::text("Name", "The object's name, unique within its namespace.").naming()
}

/// The column with the object's age.
pub const fn age_column() -> Column {
    Column::text("Age", "How long ago the object was created.")
}
