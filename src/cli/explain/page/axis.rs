//! The axis of time: where an instant stands on it, and at which instants there is a line.

use serde::Serialize;

use crate::cli::terminal::words::seconds;

/// No more lines than this: what is between them is read off the numbers.
const MOST: u64 = 8;
/// The distances between lines that people read easily, in milliseconds.
const DISTANCES: [u64; 20] = [
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000,
];

/// A line and what it says.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Tick {
    x: String,
    text: String,
}

/// The axis of a run that took so long.
pub struct Scale {
    end: u64,
    distance: u64,
}

impl Scale {
    pub fn new(end: u64) -> Self {
        let end = end.max(1);
        let few = DISTANCES.into_iter().find(|distance| end / distance <= MOST);
        // Beyond a few hours, whole hours.
        let distance = few.unwrap_or_else(|| (end / MOST / 3_600_000 + 1).saturating_mul(3_600_000));
        Self { end, distance }
    }

    /// Where an instant stands, in percent.
    pub fn x(&self, instant: u64) -> String {
        percent(instant.min(self.end), self.end)
    }

    /// How wide it is from one instant to another, in percent.
    pub fn width(&self, from: u64, to: u64) -> String {
        percent(to.min(self.end).saturating_sub(from), self.end)
    }

    /// Whether an instant stands so far to the right that what is said of it stands to its left.
    pub fn is_late(&self, instant: u64) -> bool {
        instant.saturating_mul(2) > self.end
    }

    /// The distance between two lines, in percent.
    pub fn tick(&self) -> String {
        percent(self.distance, self.end)
    }

    /// The lines, but for one that would stand at the very end.
    pub fn ticks(&self) -> Vec<Tick> {
        let last = self.end.saturating_sub(self.end / 20);
        let instants = (0..=MOST).map(|index| index * self.distance).take_while(|instant| *instant == 0 || *instant < last);
        instants.map(|instant| Tick { x: self.x(instant), text: label(instant, self.distance) }).collect()
    }
}

/// Lines stand at round instants.
fn label(instant: u64, distance: u64) -> String {
    match instant {
        0 => "0".to_owned(),
        // No two lines say the same.
        _ if distance < 100 => format!("{instant} ms"),
        _ if distance.is_multiple_of(60_000) => format!("{} min", instant / 60_000),
        1_000..100_000 if instant.is_multiple_of(1_000) => format!("{} s", instant / 1_000),
        _ => seconds(instant),
    }
}

/// A part in percent, as a style sheet reads it.
pub fn percent(part: u64, whole: u64) -> String {
    let thousandths = u128::from(part) * 100_000 / u128::from(whole.max(1));
    format!("{}.{:03}", thousandths / 1000, thousandths % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stand_at_round_instants() {
        let labels = |end| Scale::new(end).ticks().into_iter().map(|tick| tick.text).collect::<Vec<_>>();
        assert_eq!(labels(6_914), ["0", "1 s", "2 s", "3 s", "4 s", "5 s", "6 s"]);
        assert_eq!(labels(61_000), ["0", "10 s", "20 s", "30 s", "40 s", "50 s"]);
        assert_eq!(labels(400_000), ["0", "1 min", "2 min", "3 min", "4 min", "5 min", "6 min"]);
        assert_eq!(labels(0), ["0"]);
        assert_eq!(labels(22), ["0", "5 ms", "10 ms", "15 ms", "20 ms"]);
        assert_eq!(labels(700), ["0", "0.1 s", "0.2 s", "0.3 s", "0.4 s", "0.5 s", "0.6 s"]);
        for end in [1, 7, 99, 12_345, 3_599_999, 86_400_000, u64::MAX / 200_000] {
            let count = Scale::new(end).ticks().len();
            assert!((1..=9).contains(&count), "{count} lines for {end}");
        }
    }

    #[test]
    fn everything_stands_on_the_axis() {
        let scale = Scale::new(200);
        assert_eq!([scale.x(0), scale.x(50), scale.x(999)], ["0.000", "25.000", "100.000"]);
        assert_eq!([scale.width(50, 100), scale.width(100, 50)], ["25.000", "0.000"]);
        assert!(scale.is_late(150) && !scale.is_late(100));
    }
}
