//! Medians.

use serde::Serialize;

/// The middle and the ends of several measurements of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// The spread of `values`; none for no values.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len().is_multiple_of(2) {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        } else {
            sorted[middle]
        };
        Some(Self { median, min, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_is_the_middle_value_or_the_mean_of_the_middle_two() {
        for (values, median, min, max) in [
            (vec![7.0], 7.0, 7.0, 7.0),
            (vec![9.0, 1.0], 5.0, 1.0, 9.0),
            (vec![3.0, 1.0, 2.0], 2.0, 1.0, 3.0),
            (vec![100.0, 1.0, 2.0, 4.0], 3.0, 1.0, 100.0),
            (vec![5.0, 5.0, 1.0, 9.0, 6.0], 5.0, 1.0, 9.0),
        ] {
            assert_eq!(Spread::of(values.clone()), Some(Spread { median, min, max }), "{values:?}");
        }
    }

    #[test]
    fn no_values_have_no_spread() {
        assert_eq!(Spread::of([]), None);
    }
}
