// Relative times are kept fresh by the server's clock; the note in the footer says which zone is shown.
import { say } from "./words.js";

let skewMs = 0;

export function learnServerTime(response) {
  const date = response.headers.get("Date");
  if (!date) return;
  const seen = Date.parse(date) - Date.now();
  if (Math.abs(seen) > 120000 && Math.abs(skewMs) <= 120000) {
    const note = document.querySelector("[data-zone-note]");
    if (note) {
      note.hidden = false;
      note.textContent = say("clock_skew", { n: Math.round(Math.abs(seen) / 60000) });
    }
  }
  skewMs = Math.abs(seen) > 2000 ? seen : 0;
}

function words(seconds) {
  const size = Math.abs(seconds);
  if (size < 5) return say("now");
  const [divisor, unit] = size < 90 ? [1, "s"] : size < 5400 ? [60, "min"] : size < 129600 ? [3600, "h"] : [86400, "d"];
  return say(seconds > 0 ? `${unit}_ago` : `in_${unit}`, { n: Math.floor(size / divisor) });
}

export function refreshTimes(root = document) {
  for (const time of root.querySelectorAll("time[data-relative]")) {
    const seconds = (Date.now() + skewMs - Date.parse(time.dateTime)) / 1000;
    const text = words(seconds);
    if (text !== time.textContent) time.textContent = text;
    const chip = time.closest("[data-stale-after]");
    if (chip) chip.dataset.stale = String(seconds > Number(chip.dataset.staleAfter));
  }
}

function noteZone() {
  const note = document.querySelector("[data-zone-note]");
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!note || !here || here === note.dataset.zone) return;
  note.hidden = false;
  note.textContent = say("zone_note", { zone: here });
  document.addEventListener("mouseover", (event) => {
    const time = event.target instanceof Element && event.target.closest("time[datetime]");
    if (!time || time.dataset.both) return;
    time.dataset.both = "true";
    const local = new Date(time.dateTime).toLocaleString("sv-SE", { timeZone: here });
    time.title = `${time.title}\n${say("your_time", { time: local })}`;
  });
}

export function startTimes() {
  noteZone();
  setInterval(() => document.hidden || refreshTimes(), 5000);
  document.addEventListener("visibilitychange", () => document.hidden || refreshTimes());
}
