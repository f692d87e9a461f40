// Reads a chart at the pointer or with the arrow keys: the legend shows the numbers of that time. The table is the source.
const KEYS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageUp: 12, PageDown: -12 };

const readRows = (chart) =>
  [...chart.querySelectorAll("tr[data-step]")].map((row) => ({
    step: Number(row.dataset.step),
    when: row.querySelector("time").textContent,
    cells: [...row.querySelectorAll("td")].map((cell) => cell.textContent),
    isGap: row.querySelector("td[colspan]") !== null,
  }));

function show(plot, step) {
  const chart = plot.closest("[data-chart]");
  const steps = Number(chart.dataset.steps);
  const row = readRows(chart).findLast((one) => one.step <= step);
  const place = `${((step + 0.5) / steps) * 100}%`;
  const cursor = plot.querySelector("[data-chart-cursor]");
  cursor.setAttribute("x1", place);
  cursor.setAttribute("x2", place);
  cursor.setAttribute("visibility", "visible");
  const values = [...chart.querySelectorAll("[data-chart-value]")];
  for (const value of values) value.dataset.newest ??= value.textContent;
  values.forEach((value, place) => (value.textContent = row && !row.isGap ? row.cells[place] : "–"));
  const said = row?.isGap ? row.cells[0] : "";
  const when = chart.querySelector("[data-chart-when]");
  when.textContent = timeOf(chart, step) + (said ? ` · ${said}` : "");
  const names = [...chart.querySelectorAll("thead th")].slice(1).map((cell) => cell.textContent);
  const words = row && !row.isGap ? names.map((name, place) => `${name} ${row.cells[place]}`).join(", ") : said;
  plot.setAttribute("aria-valuenow", String(step));
  plot.setAttribute("aria-valuetext", `${when.textContent}: ${words}`);
}

// The rows name only the times at which something changed; the times between them are reckoned, in the zone of the page.
function timeOf(chart, step) {
  const { since, stepS, zone } = chart.dataset;
  const moment = new Date(Date.parse(since) + step * Number(stepS) * 1000);
  return new Intl.DateTimeFormat("sv-SE", { timeZone: zone, dateStyle: "short", timeStyle: "short" }).format(moment);
}

function reset(plot) {
  const chart = plot.closest("[data-chart]");
  const cursor = plot.querySelector("[data-chart-cursor]");
  cursor.setAttribute("visibility", "hidden");
  for (const value of chart.querySelectorAll("[data-chart-value]")) value.textContent = value.dataset.newest ?? value.textContent;
  const when = chart.querySelector("[data-chart-when]");
  when.textContent = when.dataset.now;
}

const plotOf = (event) => event.target.closest?.("[data-chart-plot]");

export function startCharts() {
  document.addEventListener("pointermove", (event) => {
    const plot = plotOf(event);
    if (!plot) return;
    const box = plot.getBoundingClientRect();
    const steps = Number(plot.closest("[data-chart]").dataset.steps);
    const step = Math.min(steps - 1, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * steps)));
    show(plot, step);
  });
  document.addEventListener("pointerout", (event) => {
    const plot = plotOf(event);
    if (plot && !plot.contains(event.relatedTarget) && document.activeElement !== plot) reset(plot);
  });
  document.addEventListener("focusout", (event) => plotOf(event) && reset(plotOf(event)));
  document.addEventListener("focusin", (event) => {
    const plot = plotOf(event);
    if (plot && plot.matches(":focus-visible")) show(plot, Number(plot.getAttribute("aria-valuenow")));
  });
  document.addEventListener("keydown", (event) => {
    const plot = plotOf(event);
    const last = plot ? Number(plot.getAttribute("aria-valuemax")) : 0;
    if (!plot || !(event.key in KEYS || event.key === "Home" || event.key === "End")) return;
    event.preventDefault();
    const now = Number(plot.getAttribute("aria-valuenow"));
    const wanted = event.key === "Home" ? 0 : event.key === "End" ? last : now + KEYS[event.key];
    show(plot, Math.min(last, Math.max(0, wanted)));
  });
}
