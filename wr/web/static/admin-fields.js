/** The fields of a queue's settings: creates their inputs, and reads and shows their values. */

import { element } from "./admin-dom.js";
import { plain } from "./admin-formats.js";

/**
 * @typedef {object} Field
 * @property {string} name name in the API
 * @property {string} label
 * @property {"text"|"words"|"lines"|"url"|"colour"|"integer"|"decimal"|"seconds"|"choice"} kind
 * @property {string} [unit]
 * @property {string} [hint]
 * @property {number} [least] the minimum. A decimal without it must be above 0
 * @property {string} [instead] what to do instead of 0, if 0 is not allowed
 * @property {[string, string][]} [choices] values and their names
 * @property {string|number} [usual] the default
 */

/**
 * The settings under their headings. The server defines them and writes them into the page.
 * @type {{title: string, fields: Field[]}[]}
 */
export const GROUPS = JSON.parse(document.getElementById("queue-settings").textContent);

const LONGEST_SHOWN = 80;

export const FIELDS = GROUPS.flatMap((group) => group.fields);
const LABELS = new Map([
  ...FIELDS.map((field) => [field.name, field.label]),
  ["status", "Status"],
  ["id", "Id"],
]);

/** The label of a setting. */
export const labelOf = (name) => LABELS.get(name) ?? name.replaceAll("_", " ");

/** The value of a setting as readable text. */
export function valueText(name, value) {
  if (value === "" || value === null || value === undefined) return "nothing";
  const field = FIELDS.find((each) => each.name === name);
  if (typeof value === "number") return field?.kind === "seconds" ? `${plain(value)} s` : plain(value);
  if (Array.isArray(value)) return value.join(", ");
  const choice = field?.choices?.find(([each]) => each === value);
  const text = choice ? choice[1] : String(value);
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;
}

/** Create the input of a field. */
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
  // Not type=number: it drops invalid input, and turning the mouse wheel over it would change a live sale.
  const mode =
    { integer: "numeric", seconds: "numeric", decimal: "decimal", url: "url" }[field.kind] ?? "text";
  return element("input", {
    ...common,
    type: "text",
    inputmode: mode,
    autocapitalize: field.kind === "text" ? "sentences" : "none",
  });
}

/** The words of a text, separated by any white space. */
export const wordsOf = (text) => text.split(/\s+/).filter(Boolean);

/** The text of a setting in its input. */
export const inputText = (value) => (value === null || value === undefined ? "" : String(value));

/**
 * Read an input.
 * @returns {{value: any, error: string}} `error` is empty if the value is valid
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
