//! What a swap keeps of the target, and what prevents one.

mod carry_over;
mod jobs;
mod obstacles;
mod owner;
mod privileges;
mod replacing;
