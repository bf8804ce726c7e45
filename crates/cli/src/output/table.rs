//! Tables without borders whose lines never wrap: on a narrow terminal columns drop, the least important first, and
//! what is still too long is cut with an ellipsis.

use crate::failure::Failure;
use crate::global::GlobalArgs;
use crate::output::Format;
use std::cmp::Ordering;

/// Two spaces between columns.
const GAP: usize = 2;
/// The least that a column is cut down to.
const MIN_CUT: usize = 8;

/// A column: its title and when it is shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    title: &'static str,
    importance: u8,
    wide: bool,
    right: bool,
    cut_to: usize,
}

impl Column {
    /// Shown always, dropped the later the more important; 9 never drops.
    pub(crate) const fn new(title: &'static str, importance: u8) -> Self {
        Self {
            title,
            importance,
            wide: false,
            right: false,
            cut_to: usize::MAX,
        }
    }

    /// Cut down to so many characters before any column drops: for names whose first part says enough.
    pub(crate) const fn cut_to(self, cut_to: usize) -> Self {
        Self { cut_to, ..self }
    }

    /// Numbers stand to the right.
    pub(crate) const fn right(self) -> Self {
        Self { right: true, ..self }
    }

    /// Shown with `-o wide` only.
    pub(crate) const fn wide(self) -> Self {
        Self { wide: true, ..self }
    }
}

/// What stands in one place, and what it is ordered by.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    key: Option<f64>,
}

impl Cell {
    /// Ordered by its text.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self {
            text: one_line(&text.into()),
            key: None,
        }
    }

    /// Ordered by a number that its text stands for.
    pub(crate) fn keyed(text: impl Into<String>, key: f64) -> Self {
        Self {
            text: one_line(&text.into()),
            key: Some(key),
        }
    }

    /// A count.
    pub(crate) fn count(n: u32) -> Self {
        Self {
            text: n.to_string(),
            key: Some(f64::from(n)),
        }
    }
}

/// Text that cannot break a line or steer the terminal; an empty one is a dash.
fn one_line(text: &str) -> String {
    if text.is_empty() {
        return "-".to_owned();
    }
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// A table.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table of these columns; each row has a cell for each of them.
    pub(crate) fn new(columns: &[Column], rows: impl IntoIterator<Item = Vec<Cell>>) -> Self {
        let rows: Vec<_> = rows.into_iter().collect();
        debug_assert!(
            rows.iter().all(|r| r.len() == columns.len()),
            "a cell for each column"
        );
        Self {
            columns: columns.to_vec(),
            rows,
        }
    }

    /// As text, within `width` characters a line (none: without bound).
    ///
    /// # Errors
    /// `--sort-by` names no column.
    pub(crate) fn render(mut self, global: &GlobalArgs, width: Option<usize>) -> Result<String, Failure> {
        if let Some(by) = &global.sort_by {
            self.sort(by)?;
        }
        let all = global.output == Format::Wide;
        let mut shown: Vec<usize> = (0..self.columns.len())
            .filter(|i| all || !self.columns[*i].wide)
            .collect();
        let width = if all { None } else { width };
        let mut widths = self.widths(global.no_headers);
        if let Some(width) = width {
            self.fit(&mut shown, &mut widths, width);
        }
        let mut out = String::new();
        if !global.no_headers {
            let titles: Vec<&str> = shown.iter().map(|i| self.columns[*i].title).collect();
            self.line(&mut out, &shown, &widths, &titles);
        }
        for row in &self.rows {
            let cells: Vec<&str> = shown.iter().map(|i| row[*i].text.as_str()).collect();
            self.line(&mut out, &shown, &widths, &cells);
        }
        Ok(out)
    }

    fn sort(&mut self, by: &str) -> Result<(), Failure> {
        let found = self.columns.iter().position(|c| c.title.eq_ignore_ascii_case(by));
        let Some(i) = found else {
            let titles: Vec<String> = self.columns.iter().map(|c| c.title.to_lowercase()).collect();
            return Err(Failure::usage(format!("there is no column `{by}`"))
                .at("--sort-by")
                .hint(format!("one of {}", titles.join(", "))));
        };
        self.rows.sort_by(|a, b| order(&a[i], &b[i]));
        Ok(())
    }

    fn widths(&self, no_headers: bool) -> Vec<usize> {
        let title = |c: &Column| if no_headers { 0 } else { c.title.len() };
        let longest = |i: usize| {
            self.rows
                .iter()
                .map(|r| r[i].text.chars().count())
                .max()
                .unwrap_or(0)
        };
        self.columns
            .iter()
            .enumerate()
            .map(|(i, c)| title(c).max(longest(i)))
            .collect()
    }

    /// Cuts columns that may be cut, then drops columns, then cuts the longest that is left, until a line fits.
    fn fit(&self, shown: &mut Vec<usize>, widths: &mut [usize], width: usize) {
        loop {
            let total = shown
                .iter()
                .map(|i| widths[*i] + GAP)
                .sum::<usize>()
                .saturating_sub(GAP);
            let Some(over) = total.checked_sub(width).filter(|over| *over > 0) else {
                return;
            };
            let spare = |i: &usize| widths[*i].saturating_sub(self.columns[*i].cut_to);
            if let Some(i) = shown.iter().copied().max_by_key(spare).filter(|i| spare(i) > 0) {
                widths[i] -= over.min(spare(&i));
                continue;
            }
            let least = shown
                .iter()
                .enumerate()
                .min_by_key(|(at, i)| (self.columns[**i].importance, usize::MAX - at));
            match least {
                Some((at, i)) if self.columns[*i].importance < 9 && shown.len() > 1 => {
                    shown.remove(at);
                }
                Some(_) | None => {
                    let Some(longest) = shown.iter().copied().max_by_key(|i| widths[*i]) else {
                        return;
                    };
                    let cut = widths[longest].saturating_sub(over).max(MIN_CUT);
                    if cut >= widths[longest] {
                        return;
                    }
                    widths[longest] = cut;
                }
            }
        }
    }

    fn line(&self, out: &mut String, shown: &[usize], widths: &[usize], texts: &[&str]) {
        let mut line = String::new();
        for (i, text) in shown.iter().zip(texts) {
            if !line.is_empty() {
                line.push_str("  ");
            }
            let width = widths[*i];
            let text = cut(text, width);
            let pad = width.saturating_sub(text.chars().count());
            if self.columns[*i].right {
                line.extend(std::iter::repeat_n(' ', pad));
                line.push_str(&text);
            } else {
                line.push_str(&text);
                line.extend(std::iter::repeat_n(' ', pad));
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

fn order(a: &Cell, b: &Cell) -> Ordering {
    match (a.key, b.key) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        (Some(_), None) => Ordering::Greater,
        (None, Some(_)) => Ordering::Less,
        (None, None) => a.text.cmp(&b.text),
    }
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut out: String = text.chars().take(width.saturating_sub(1)).collect();
    out.push('…');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] = &[
        Column::new("NAME", 9),
        Column::new("AGE", 2).right(),
        Column::new("PROBLEM", 5),
        Column::new("ID", 1).wide(),
    ];

    fn table() -> Table {
        let row = |name: &str, age: u32, problem: &str| {
            vec![
                Cell::text(name),
                Cell::count(age),
                Cell::text(problem),
                Cell::text("x1"),
            ]
        };
        Table::new(
            COLUMNS,
            [row("web", 100, "short\nof memory"), row("a-long-one", 7, "")],
        )
    }

    fn shown(global: &GlobalArgs, width: Option<usize>) -> String {
        table().render(global, width).unwrap()
    }

    #[test]
    fn a_table_has_no_borders_and_no_trailing_space() {
        assert_eq!(
            shown(&GlobalArgs::default(), None),
            "NAME        AGE  PROBLEM\nweb         100  short of memory\na-long-one    7  -\n"
        );
    }

    #[test]
    fn wide_shows_all_and_no_headers_shows_no_titles() {
        let wide = GlobalArgs {
            output: Format::Wide,
            no_headers: true,
            ..GlobalArgs::default()
        };
        assert_eq!(
            shown(&wide, Some(10)),
            "web         100  short of memory  x1\na-long-one    7  -                x1\n"
        );
    }

    #[test]
    fn on_a_narrow_terminal_the_least_important_goes_first_and_no_line_wraps() {
        for width in 8..40 {
            let text = shown(&GlobalArgs::default(), Some(width));
            assert!(
                text.lines().all(|l| l.chars().count() <= width),
                "{width}:\n{text}"
            );
        }
        assert_eq!(
            shown(&GlobalArgs::default(), Some(30)),
            "NAME        PROBLEM\nweb         short of memory\na-long-one  -\n"
        );
        assert_eq!(shown(&GlobalArgs::default(), Some(9)), "NAME\nweb\na-long-o…\n");
    }

    #[test]
    fn a_name_that_may_be_cut_is_cut_before_a_column_drops() {
        let mut table = table();
        table.columns[0] = Column::new("NAME", 9).cut_to(5);
        let text = table.render(&GlobalArgs::default(), Some(27)).unwrap();
        assert_eq!(
            text,
            "NAME   AGE  PROBLEM\nweb    100  short of memory\na-lo…    7  -\n"
        );
    }

    #[test]
    fn numbers_are_ordered_as_numbers_and_an_unknown_column_is_refused() {
        let by = |column: &str| GlobalArgs {
            sort_by: Some(column.into()),
            ..GlobalArgs::default()
        };
        let text = shown(&by("age"), None);
        assert!(text.find("a-long-one") < text.find("web"), "{text}");
        let refused = table().render(&by("colour"), None).unwrap_err();
        assert!(refused.to_string().contains("name, age, problem"), "{refused}");
    }
}
