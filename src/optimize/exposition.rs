//! Counters as Prometheus reads them: its text format, version 0.0.4.

use std::fmt::Write;

use super::histogram::Distribution;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// Labels of a sample, in the order given.
pub type Labels<'l> = &'l [(&'l str, &'l str)];

/// A text that grows: a head for each metric, then its samples.
#[derive(Default)]
pub struct Exposition {
    text: String,
    name: &'static str,
}

impl Exposition {
    /// Begins a metric. The samples behind it are its own.
    pub fn metric(&mut self, name: &'static str, kind: Kind, help: &str) {
        self.name = name;
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {}", kind.name());
    }

    pub fn sample(&mut self, labels: Labels<'_>, value: f64) {
        self.line("", labels, value);
    }

    /// A metric with one sample.
    pub fn single(&mut self, name: &'static str, kind: Kind, help: &str, value: f64) {
        self.metric(name, kind, help);
        self.sample(&[], value);
    }

    pub fn distribution(&mut self, labels: Labels<'_>, distribution: &Distribution) {
        let bounds = distribution.cumulative().map(|(bound, count)| (bound.to_string(), count));
        for (bound, count) in bounds.chain([("+Inf".to_owned(), distribution.count)]) {
            let labels = [labels, &[("le", bound.as_str())]].concat();
            self.line("_bucket", &labels, count as f64);
        }
        self.line("_sum", labels, distribution.sum);
        self.line("_count", labels, distribution.count as f64);
    }

    fn line(&mut self, suffix: &str, labels: Labels<'_>, value: f64) {
        self.text.push_str(self.name);
        self.text.push_str(suffix);
        for (i, (name, value)) in labels.iter().enumerate() {
            let open = if i == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{open}{name}=\"{}\"", escaped(value));
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{close} {value}");
    }

    pub fn text(self) -> String {
        self.text
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_follow_their_head_and_labels_are_escaped() {
        let mut text = Exposition::default();
        text.single("up", Kind::Gauge, "Whether\nit is.", 1.0);
        text.metric("calls_total", Kind::Counter, "Calls.");
        text.sample(&[("by", "a\"b\\c\nd"), ("to", "é")], 2.5);
        let wanted = "# HELP up Whether\\nit is.\n# TYPE up gauge\nup 1\n\
                      # HELP calls_total Calls.\n# TYPE calls_total counter\n\
                      calls_total{by=\"a\\\"b\\\\c\\nd\",to=\"é\"} 2.5\n";
        assert_eq!(text.text(), wanted);
    }

    #[test]
    fn a_distribution_has_its_buckets_its_sum_and_its_count() {
        let mut distribution = Distribution::new(&[0.01, 1.0]);
        [0.5, 3.0].into_iter().for_each(|value| distribution.add(value));
        let mut text = Exposition::default();
        text.metric("took", Kind::Histogram, "Time.");
        text.distribution(&[("op", "chat")], &distribution);
        let lines: Vec<_> = text.text().lines().skip(2).map(str::to_owned).collect();
        let wanted = [
            "took_bucket{op=\"chat\",le=\"0.01\"} 0",
            "took_bucket{op=\"chat\",le=\"1\"} 1",
            "took_bucket{op=\"chat\",le=\"+Inf\"} 2",
            "took_sum{op=\"chat\"} 3.5",
            "took_count{op=\"chat\"} 2",
        ];
        assert_eq!(lines, wanted);
    }
}
