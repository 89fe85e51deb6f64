//! Swaps: what they preserve of the target, and what prevents them.

mod carry_over;
mod jobs;
mod obstacles;
mod owner;
mod privileges;
mod replacing;
