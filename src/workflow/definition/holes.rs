//! The templates and conditions of one step: where they are written, and when they are looked at.

use super::layout::Moment;
use super::{Does, Looping, Made, Over, Step, Test};
use crate::workflow::template::Hole;

pub struct Site {
    /// Below the step: `input.data[1]`.
    pub field: String,
    pub hole: Hole,
    pub moment: Moment,
    /// In what takes the place of the step's output.
    pub maps_output: bool,
}

#[derive(Default)]
struct Sites {
    found: Vec<Site>,
}

/// Those of a step, but for those inside of it.
pub fn of_step(step: &Step) -> Vec<Site> {
    let mut sites = Sites::default();
    let own = matches!(step.does, Does::Branch { .. } | Does::Loop(_));
    sites.test(if own { "when" } else { "condition" }, step.when.as_ref(), Moment::Before);
    sites.made("input", step.input.as_ref(), Moment::Before);
    sites.does(&step.does);
    let before = sites.found.len();
    sites.made("output", step.output.as_ref(), Moment::Behind);
    sites.found.iter_mut().skip(before).for_each(|site| site.maps_output = true);
    sites.found
}

/// Those of a workflow.
pub fn of_body(does: &Does) -> Vec<Site> {
    let mut sites = Sites::default();
    sites.does(does);
    sites.found
}

impl Sites {
    fn does(&mut self, does: &Does) {
        match does {
            Does::Branch { test, .. } => self.test("condition", Some(test), Moment::Before),
            Does::Loop(looping) => self.looping(looping),
            Does::Map { over, .. } => self.made("over", Some(over), Moment::Before),
            Does::Emit { data, .. } => self.made("data", data.as_ref(), Moment::Before),
            Does::Transform(made) => self.made("template", Some(made), Moment::Before),
            _ => {}
        }
    }

    fn looping(&mut self, looping: &Looping) {
        match &looping.over {
            Over::Items(made) => self.made("items", Some(made), Moment::Before),
            Over::Count(made) => self.made("count", Some(made), Moment::Before),
            Over::While(test) => self.test("condition", Some(test), Moment::Again),
            Over::Ever => {}
        }
        self.test("until_condition", looping.until.as_ref(), Moment::Behind);
    }

    fn made(&mut self, field: &str, made: Option<&Made>, moment: Moment) {
        for (inside, template) in made.map(Made::templates).unwrap_or_default() {
            let Ok(template) = template else { continue };
            let field = format!("{field}{inside}");
            self.found.extend(template.holes().map(|hole| site(&field, hole, moment)));
        }
    }

    fn test(&mut self, field: &str, test: Option<&Test>, moment: Moment) {
        let holes = test.into_iter().flat_map(Test::holes);
        self.found.extend(holes.map(|hole| site(field, hole, moment)));
    }
}

fn site(field: &str, hole: &Hole, moment: Moment) -> Site {
    Site { field: field.to_owned(), hole: hole.clone(), moment, maps_output: false }
}
