/** The settings of a queue: a new one is a row in this table. */

import { element } from "./admin-dom.js";
import { plain } from "./admin-formats.js";

/**
 * @typedef {object} Field
 * @property {string} name as the API spells it
 * @property {string} label
 * @property {"text"|"words"|"lines"|"url"|"colour"|"integer"|"decimal"|"seconds"|"choice"} kind
 * @property {string} [unit]
 * @property {string} [hint]
 * @property {number} [least] a decimal without one must be above 0
 * @property {string} [instead] what to do where 0 was meant and cannot be
 * @property {[string, string][]} [choices] values and their names
 * @property {string|number} [usual] what a queue gets that says nothing
 */

/** @type {{title: string, fields: Field[]}[]} */
export const GROUPS = [
  {
    title: "Rate and capacity",
    fields: [
      {
        name: "admission_rate",
        label: "Admission rate",
        kind: "decimal",
        unit: "per second",
        instead: "To stop letting visitors in, pause the queue.",
        usual: 10,
      },
      {
        name: "max_active_users",
        label: "Maximum people inside",
        kind: "integer",
        unit: "at once",
        least: 1,
        usual: 1000,
      },
      {
        name: "max_queue_size",
        label: "Maximum people in line",
        kind: "integer",
        unit: "people",
        least: 0,
        hint: "0: no limit",
        usual: 50000,
      },
    ],
  },
  {
    title: "Times",
    fields: [
      { name: "session_timeout_seconds", label: "Time inside", kind: "seconds", least: 1, usual: 3600 },
      { name: "heartbeat_interval_seconds", label: "Heartbeat every", kind: "seconds", least: 1, usual: 10 },
      {
        name: "heartbeat_timeout_seconds",
        label: "Silence before a place is lost",
        kind: "seconds",
        least: 2,
        usual: 60,
      },
    ],
  },
  {
    title: "People",
    fields: [
      { name: "name", label: "Name", kind: "text" },
      { name: "target_url", label: "Where people go when they are let in", kind: "url" },
      {
        name: "unique_by",
        label: "How visitors are told apart",
        kind: "choice",
        choices: [
          ["client", "user id, address and browser"],
          ["user_id", "proven user id"],
          ["ip", "address"],
          ["none", "every join is a new visitor"],
        ],
        usual: "client",
      },
    ],
  },
  {
    title: "Entry and fairness",
    fields: [
      {
        name: "entry",
        label: "Who may join",
        kind: "choice",
        choices: [
          ["open", "every visitor"],
          ["pass", "visitors with a pass"],
        ],
        usual: "open",
      },
      {
        name: "max_places_per_address",
        label: "Maximum places for one address",
        kind: "integer",
        unit: "at once",
        least: 0,
        hint: "0: no limit. A school or a mobile network can be one address",
        usual: 500,
      },
      {
        name: "open_priority",
        label: "Highest priority without a pass",
        kind: "integer",
        least: 0,
        hint: "0 to 3",
        usual: 0,
      },
      {
        name: "priority_share",
        label: "Share for higher priorities",
        kind: "decimal",
        hint: "Above 0, up to 1",
        usual: 0.8,
      },
    ],
  },
  {
    title: "The gate",
    fields: [
      {
        name: "open_paths",
        label: "Open paths",
        kind: "words",
        hint: "Visitors need no session for these, such as /robots.txt /assets/*. A * at the end stands for any ending",
      },
      {
        name: "open_addresses",
        label: "Open addresses",
        kind: "words",
        hint: "Visitors from these addresses or networks never wait, such as 10.0.0.0/8 192.0.2.7",
      },
      {
        name: "open_agents",
        label: "Open user agents",
        kind: "words",
        // Each of the three opens by itself: addresses beside a user agent do not narrow it down.
        hint: "The beginnings of the user agents of health checkers, such as kube-probe/. Any client can claim a user agent, from any address. If you know the addresses of the checkers, open those instead and leave this empty",
      },
      {
        name: "outage_policy",
        label: "Who gets in while the store is unreachable",
        kind: "choice",
        choices: [
          ["closed", "no new visitor"],
          ["open", "every visitor"],
          ["budget", "a limited number a second"],
        ],
        usual: "closed",
      },
      {
        name: "outage_grace_seconds",
        label: "Time in an outage before the gate opens",
        kind: "seconds",
        least: 0,
        usual: 30,
      },
      {
        name: "outage_rate",
        label: "Rate in an outage",
        kind: "decimal",
        unit: "per second and server",
        least: 0,
        hint: "0: no new visitor",
        usual: 1,
      },
      {
        name: "session_binding",
        label: "What a session is bound to",
        kind: "choice",
        choices: [
          ["none", "nothing"],
          ["network", "networks"],
          ["browser", "browsers"],
        ],
        usual: "none",
      },
    ],
  },
  {
    title: "The waiting page",
    fields: [
      { name: "message", label: "Message", kind: "lines", hint: "Shown to everyone in line" },
      { name: "logo_url", label: "Address of the logo", kind: "url" },
      { name: "support_url", label: "Address of the help page", kind: "url" },
      { name: "accent_color", label: "Accent colour", kind: "colour", hint: "Such as #0b5cad" },
      { name: "background_color", label: "Background colour", kind: "colour", hint: "Such as #ffffff" },
      {
        name: "page_template",
        label: "Template of the page",
        kind: "lines",
        hint: "Jinja2; it replaces the standard page. If empty, the queue uses the standard page",
      },
    ],
  },
];

const LONGEST_SHOWN = 80;

export const FIELDS = GROUPS.flatMap((group) => group.fields);
const LABELS = new Map([
  ...FIELDS.map((field) => [field.name, field.label]),
  ["status", "Status"],
  ["id", "Id"],
]);

/** A setting's name for people. */
export const labelOf = (name) => LABELS.get(name) ?? name.replaceAll("_", " ");

/** A setting's value for people. */
export function valueText(name, value) {
  if (value === "" || value === null || value === undefined) return "nothing";
  const field = FIELDS.find((each) => each.name === name);
  if (typeof value === "number") return field?.kind === "seconds" ? `${plain(value)} s` : plain(value);
  if (Array.isArray(value)) return value.join(", ");
  const choice = field?.choices?.find(([each]) => each === value);
  const text = choice ? choice[1] : String(value);
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;
}

/** Make what a field is typed into. */
export function makeInput(field) {
  const common = {
    name: field.name,
    autocomplete: "off",
    spellcheck: field.kind === "lines" ? "true" : "false",
  };
  if (field.kind === "words") return element("textarea", { ...common, rows: "2", autocapitalize: "none" });
  if (field.kind === "choice") {
    const options = field.choices.map(([value, name]) => element("option", { value }, name));
    return element("select", { name: field.name }, options);
  }
  if (field.kind === "lines") return element("textarea", { ...common, rows: "3" });
  // Not type=number: it drops what it does not understand, and a wheel turned over it changes a live sale.
  const mode =
    { integer: "numeric", seconds: "numeric", decimal: "decimal", url: "url" }[field.kind] ?? "text";
  return element("input", {
    ...common,
    type: "text",
    inputmode: mode,
    autocapitalize: field.kind === "text" ? "sentences" : "none",
  });
}

/** The words of a text, however they are set apart. */
export const wordsOf = (text) => text.split(/\s+/).filter(Boolean);

/** What a setting looks like in its input. */
export const inputText = (value) => (value === null || value === undefined ? "" : String(value));

/**
 * Read what was typed.
 * @returns {{value: any, error: string}} `error` is empty where the value can be used
 */
export function readInput(field, text) {
  const typed = field.kind === "lines" ? text : text.trim();
  if (field.kind === "words") return { value: wordsOf(typed).join(" "), error: "" };
  if (field.kind === "colour" && !/^(#[0-9a-f]{6})?$/i.test(typed))
    return { value: typed, error: "Enter # and six digits, such as #0b5cad, or leave it empty." };
  if (!["integer", "seconds", "decimal"].includes(field.kind)) return { value: typed, error: "" };
  const value = typed === "" ? Number.NaN : Number(typed.replace(/[\s_’']/g, ""));
  if (!Number.isFinite(value)) return { value, error: "Enter a number, such as 20 or 0.5." };
  if (field.kind !== "decimal" && !Number.isInteger(value))
    return { value, error: "Enter a whole number." };
  if (field.kind === "decimal" && field.least === undefined && value <= 0)
    return { value, error: ["It must be above 0.", field.instead].filter(Boolean).join(" ") };
  if (value < (field.least ?? 0)) return { value, error: `It must be at least ${field.least}.` };
  return { value, error: "" };
}
