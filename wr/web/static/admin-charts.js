/** The history of a queue: charts if the chart library is installed, and always the same figures as a table. */

import { Left, history } from "./admin-api.js";
import { element, fill, newId, write } from "./admin-dom.js";
import { clock, count, duration, moment, perSecond, shortClock } from "./admin-formats.js";
import { repeat } from "./admin-poll.js";

const LIBRARY = "/wr-assets/lightweight-charts.js";
const SPANS = {
  "15m": { label: "15 minutes", seconds: 15 * 60, every: 10 },
  "24h": { label: "24 hours", seconds: 24 * 3600, every: 60 },
};
const SOLID = 0;
const DOTTED = 1;
const DASHED = 2;

/** The charts and their lines. Lines differ in style too, not only in colour. */
const CHARTS = [
  {
    title: "People",
    text: count,
    lines: [
      { key: "waiting", label: "Waiting", colour: "--line-1", style: SOLID },
      { key: "active", label: "Inside", colour: "--line-2", style: DASHED },
    ],
  },
  {
    title: "Per second",
    text: perSecond,
    lines: [
      { key: "joined_per_second", label: "Join", colour: "--line-1", style: SOLID },
      { key: "admitted_per_second", label: "Let in", colour: "--line-2", style: DASHED },
      { key: "expired_per_second", label: "Expire", colour: "--line-3", style: DOTTED },
    ],
  },
  {
    title: "Wait before being let in",
    text: duration,
    lines: [{ key: "average_wait_seconds", label: "Average", colour: "--line-1", style: SOLID }],
  },
];
const COLUMNS = [
  ["waiting", "Waiting", count],
  ["active", "Inside", count],
  ["joined_per_second", "Join", perSecond],
  ["admitted_per_second", "Let in", perSecond],
  ["expired_per_second", "Expire", perSecond],
  ["cancelled_per_second", "Leave", perSecond],
  ["average_wait_seconds", "Wait", duration],
];

let loading = null;

/** Load the library once. Resolves to null if the server does not have it. */
function chartLibrary() {
  loading ??= new Promise((resolve) => {
    const settle = () => resolve(globalThis.LightweightCharts ?? null);
    document.head.append(element("script", { src: LIBRARY, onload: settle, onerror: settle }));
  });
  return loading;
}

/** The panel with the charts of a queue. It updates itself until `close`. */
export function chartsPanel(queueId) {
  let span = "15m";
  let charts = [];
  let latest = null;
  let closed = false;
  const note = element("p", { class: "hint chart-note" }, "Loading the history…");
  const places = CHARTS.map(chartPlace);
  const drawn = element(
    "div",
    { class: "charts", hidden: true },
    places.map((place) => place.node),
  );
  const table = historyTable();
  const choices = spanChoices((chosen) => {
    span = chosen;
    follow();
  });
  const node = element(
    "section",
    { class: "panel", "aria-labelledby": "charts-title" },
    element("div", { class: "heading" }, element("h2", { id: "charts-title" }, "History"), choices),
    note,
    drawn,
    table.node,
  );

  let polling = null;
  function follow() {
    polling?.stop();
    const wanted = span;
    polling = repeat(
      async () => {
        const answer = await history(queueId, wanted);
        if (closed || wanted !== span) return;
        latest = answer;
        draw();
      },
      SPANS[span].every,
      (error) => {
        if (!(error instanceof Left)) write(note, `The history could not be loaded: ${error.message}.`);
      },
    );
  }

  function draw() {
    write(
      note,
      latest.points.length
        ? charts.length
          ? ""
          : missing
        : "Nothing is recorded yet. The first figures appear within a minute.",
    );
    drawn.hidden = !charts.length || !latest.points.length;
    const times = timesOf(latest, SPANS[span].seconds);
    places.forEach((place, index) => {
      place.describe(latest.points, span);
      charts[index]?.draw(latest.points, times, span);
    });
    table.update(latest.points, span);
  }

  let missing = "";
  chartLibrary().then((library) => {
    if (closed) return;
    if (library) {
      charts = places.map((place) => place.chart(library));
    } else {
      missing =
        "The charts cannot be shown, because the chart library is not installed on this server. The figures are in the table.";
      table.node.open = true;
    }
    if (latest) draw();
  });

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const recolour = () => charts.forEach((chart) => chart.recolour());
  dark.addEventListener("change", recolour);
  follow();
  return {
    node,
    now: () => polling.now(),
    close() {
      closed = true;
      polling.stop();
      dark.removeEventListener("change", recolour);
      charts.forEach((chart) => chart.close());
    },
  };
}

function spanChoices(choose) {
  const buttons = Object.entries(SPANS).map(([name, { label }], index) =>
    element("button", { type: "button", "aria-pressed": String(index === 0), "data-span": name }, label),
  );
  for (const button of buttons) {
    button.addEventListener("click", () => {
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
      choose(button.dataset.span);
    });
  }
  return element("div", { class: "choices", role: "group", "aria-label": "Span of time" }, buttons);
}

/** All steps of the span up to the last known one, so that missing steps show as a gap. */
function timesOf({ points, step_seconds: step }, spanSeconds) {
  if (!points.length) return [];
  const last = secondsOf(points.at(-1));
  const times = new Set(points.map(secondsOf));
  for (let time = last; time > last - spanSeconds; time -= step) times.add(time);
  return [...times].sort((one, other) => one - other);
}

const secondsOf = (point) => Math.round(Date.parse(point.at) / 1000);

/** One chart on the page: title, legend, canvas, and a description in words. */
function chartPlace(kind) {
  const canvas = element("div", { class: "chart", role: "img" });
  const values = new Map();
  const legend = element(
    "p",
    { class: "legend", "aria-hidden": "true" },
    kind.lines.map((line) => {
      const value = element("span", { class: "value" });
      values.set(line.key, value);
      const key = element("span", { class: "key" });
      key.style.setProperty("--colour", `var(${line.colour})`);
      key.dataset.style = String(line.style);
      return element("span", {}, key, `${line.label} `, value);
    }),
  );
  const titleId = newId("chart");
  const showLegend = (of) => {
    for (const line of kind.lines) {
      const value = of(line.key);
      write(values.get(line.key), value === null || value === undefined ? "–" : kind.text(value));
    }
  };
  let newest = null;
  return {
    node: element(
      "figure",
      { "aria-labelledby": titleId },
      element("figcaption", { id: titleId }, kind.title),
      legend,
      canvas,
    ),
    describe(points, span) {
      newest = points.at(-1) ?? null;
      showLegend((key) => newest?.[key]);
      const told = kind.lines.map((line) => lineInWords(line, points, kind.text));
      canvas.setAttribute(
        "aria-label",
        `${kind.title}, the last ${SPANS[span].label}. ${told.join(" ")} All figures are in the table below.`,
      );
    },
    chart: (library) => drawnChart(library, kind, canvas, (of) => showLegend(of ?? ((key) => newest?.[key]))),
  };
}

function lineInWords(line, points, text) {
  const known = points.map((point) => point[line.key]).filter((value) => value !== null);
  if (!known.length) return `${line.label}: nothing recorded.`;
  return `${line.label}: ${text(known.at(-1))} at the end, between ${text(Math.min(...known))} and ${text(Math.max(...known))}.`;
}

function drawnChart(library, kind, canvas, showLegend) {
  const chart = library.createChart(canvas, {
    autoSize: true,
    // The chart must not handle scrolling: on a phone it would stop the page from scrolling.
    handleScroll: false,
    handleScale: false,
    crosshair: { horzLine: { visible: false, labelVisible: false } },
    rightPriceScale: { borderVisible: false, entireTextOnly: true, scaleMargins: { top: 0.1, bottom: 0 } },
    localization: { timeFormatter: (time) => moment(new Date(time * 1000)) },
    timeScale: {
      borderVisible: false,
      timeVisible: true,
      fixLeftEdge: true,
      fixRightEdge: true,
      tickMarkFormatter: (time) => shortClock(new Date(time * 1000)),
    },
  });
  const series = kind.lines.map((line) =>
    chart.addLineSeries({
      lineWidth: 2,
      lineStyle: line.style,
      priceLineVisible: false,
      lastValueVisible: false,
      priceFormat: { type: "custom", minMove: 0.01, formatter: kind.text },
      // From zero to at least one, so that noise does not look large.
      autoscaleInfoProvider: (original) => {
        const found = original();
        return (
          found && { ...found, priceRange: { minValue: 0, maxValue: Math.max(1, found.priceRange.maxValue) } }
        );
      },
    }),
  );
  chart.subscribeCrosshairMove(({ time, seriesData }) => {
    if (time === undefined) return showLegend(null);
    return showLegend(
      (key) => seriesData.get(series[kind.lines.findIndex((line) => line.key === key)])?.value,
    );
  });
  function recolour() {
    const style = getComputedStyle(canvas);
    const colour = (name) => style.getPropertyValue(name).trim();
    chart.applyOptions({
      layout: {
        background: { color: "transparent" },
        textColor: colour("--muted"),
        fontFamily: style.fontFamily,
      },
      grid: { vertLines: { color: colour("--grid") }, horzLines: { color: colour("--grid") } },
    });
    series.forEach((each, index) => each.applyOptions({ color: colour(kind.lines[index].colour) }));
  }
  recolour();
  return {
    recolour,
    draw(points, times) {
      const known = new Map(points.map((point) => [secondsOf(point), point]));
      series.forEach((each, index) => {
        const { key } = kind.lines[index];
        each.setData(
          times.map((time) => {
            const value = known.get(time)?.[key];
            return value === null || value === undefined ? { time } : { time, value };
          }),
        );
      });
      chart.timeScale().fitContent();
    },
    close: () => chart.remove(),
  };
}

/** The figures as a table, newest first. It is filled only while it is open. */
function historyTable() {
  const rows = element("tbody");
  const head = element(
    "tr",
    {},
    element("th", { scope: "col" }, "From"),
    COLUMNS.map(([, label]) => element("th", { scope: "col" }, label)),
  );
  const scrolled = element(
    "div",
    { class: "scrolled", role: "region", "aria-label": "Figures of the charts", tabindex: "0" },
    element("table", {}, element("thead", {}, head), rows),
  );
  const node = element(
    "details",
    { class: "history-table" },
    element("summary", {}, "The figures as a table"),
    scrolled,
  );
  let show = () => {};
  node.addEventListener("toggle", () => node.open && show());
  return {
    node,
    update(points, span) {
      const spell = span === "24h" ? shortClock : clock;
      show = () =>
        fill(
          rows,
          [...points].reverse().map((point) =>
            element(
              "tr",
              {},
              element("th", { scope: "row" }, spell(new Date(point.at))),
              COLUMNS.map(([key, , text]) =>
                element("td", {}, point[key] === null || point[key] === undefined ? "–" : text(point[key])),
              ),
            ),
          ),
        );
      if (node.open) show();
    },
  };
}
