// How states and numbers are written. The same units as in words.py.

const WORKER_GLYPHS = { starting: "◌", idle: "○", busy: "●", leased: "◆", stopping: "◍" };
const POOL_GLYPHS = {
  new: "○", opening: "◌", open: "●", paused: "‖", closing: "◍", closed: "■", broken: "✖", forked: "■",
};
const SIZES = [[2 ** 40, "TiB"], [2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]];

const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const amount = (number) => WHOLE.format(number);

const rate = (number) => (number >= 10 ? amount(number) : number.toFixed(1));

function duration(seconds) {
  seconds = Math.max(seconds, 0);
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 59.5) return `${Math.round(seconds)} s`;
  const two = (number) => String(number).padStart(2, "0");
  const whole = Math.floor(seconds);
  const [hours, minutes, rest] = [
    Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60,
  ];
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

// An estimate, as in words.py.
function range([low, high]) {
  if (high <= 1.6 * low || high < 2) return `about ${duration((low + high) / 2)}`;
  if (low < 0.15 * high) return `up to ${duration(high)}`;
  return `${duration(low)} to ${duration(high)}`;
}

function size(bytes) {
  for (const [unit, name] of SIZES) {
    if (bytes >= unit) return `${(bytes / unit).toFixed(bytes >= 9.95 * unit ? 0 : 1)} ${name}`;
  }
  return `${bytes} B`;
}

const plural = (count, word) => `${amount(count)} ${word}${count === 1 ? "" : "s"}`;
