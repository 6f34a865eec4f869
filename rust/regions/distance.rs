//! Distances of pixels from marked ones, row by row.

use crate::error::{Error, check_len};

/// Turns the distances of pixels from the nearest marked one of their column into those from the nearest of all.
///
/// Rows are independent of each other (Meijster, Roerdink, Hesselink 2000), and squares of distances are whole numbers.
///
/// # Errors
/// If the slices differ in length or are no rows of a width, or a distance is no whole number in 0..2^24 or infinite.
pub fn distances(columns: &[f32], width: usize, out: &mut [f32]) -> Result<(), Error> {
    check_len("out", columns.len(), out.len())?;
    if width == 0 || !columns.len().is_multiple_of(width) {
        return Err(Error::Value(format!("{} distances are no rows of {width}", columns.len())));
    }
    let mut nearest: Vec<Site> = Vec::new();
    for (line, out) in columns.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
        nearest.clear();
        for (column, &distance) in line.iter().enumerate().filter(|(_, distance)| distance.is_finite()) {
            if !(0.0..16_777_216.0).contains(&distance) || distance.fract() != 0.0 {
                return Err(Error::Value(format!("a distance of {distance} is no number of rows")));
            }
            let mut site = Site { column: column as i64, square: (distance as i64).pow(2), first: 0 };
            while nearest
                .last()
                .is_some_and(|last| last.square_from(last.first) > site.square_from(last.first))
            {
                nearest.pop();
            }
            if let Some(last) = nearest.last() {
                site.first = last.overtaken_by(&site);
            }
            if site.first < width as i64 {
                nearest.push(site);
            }
        }
        let mut sites = nearest.iter().peekable();
        let mut site = sites.next();
        for (column, distance) in out.iter_mut().enumerate() {
            while let Some(next) = sites.next_if(|next| next.first <= column as i64) {
                site = Some(next);
            }
            *distance =
                site.map_or(f32::INFINITY, |site| (site.square_from(column as i64) as f64).sqrt() as f32);
        }
    }
    Ok(())
}

/// The nearest marked pixel of a column, and the first column of the row that it is the nearest to.
struct Site {
    column: i64,
    /// Square of its distance within the column.
    square: i64,
    first: i64,
}

impl Site {
    fn square_from(&self, column: i64) -> i64 {
        self.square + (column - self.column).pow(2)
    }

    /// The first column that another site further right is nearer to.
    fn overtaken_by(&self, other: &Self) -> i64 {
        let (squares, between) = (
            other.column.pow(2) - self.column.pow(2) + other.square - self.square,
            other.column - self.column,
        );
        squares / (2 * between) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_from_the_nearest_of_all_columns() {
        let width = 41;
        for step in 1..60 {
            let columns: Vec<f32> = (0..width)
                .map(|column| match (column * step * step + column * column) % 29 {
                    rest if rest % 3 == 0 => f32::INFINITY,
                    rest => rest as f32,
                })
                .collect();
            let mut found = vec![f32::NAN; width];
            assert_eq!(distances(&columns, width, &mut found), Ok(()));
            for (column, found) in found.iter().enumerate() {
                let square = |(other, distance): (usize, &f32)| {
                    f64::from(*distance).powi(2) + (other as f64 - column as f64).powi(2)
                };
                let nearest = columns.iter().enumerate().map(square).fold(f64::INFINITY, f64::min);
                assert_eq!(*found, nearest.sqrt() as f32);
            }
        }
        let mut found = [0.0; 3];
        assert_eq!(distances(&[f32::INFINITY; 3], 3, &mut found), Ok(()));
        assert_eq!(found, [f32::INFINITY; 3]);
        assert!(distances(&[0.5, 1.0, 1.0], 3, &mut found).is_err());
        assert!(distances(&[0.0; 3], 2, &mut found).is_err());
    }
}
