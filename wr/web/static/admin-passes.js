/** Passes of a queue: forms to issue passes and to revoke one. */

import { Left, issuePasses, revokePass } from "./admin-api.js";
import { blockingFields, spanField } from "./admin-blocks.js";
import { confirm, say } from "./admin-dialogs.js";
import { element, fill, labelled, newId, write } from "./admin-dom.js";
import { readInput } from "./admin-fields.js";
import { count, moment } from "./admin-formats.js";

const MOST_AT_ONCE = 1000;
const HEADER = ["subject", "pass_id", "expires_at", "pass", "link"];

/**
 * Both forms.
 * @param {string} queueId
 * @param {() => Promise<void>} changed called after each change
 */
export function passesPanel(queueId, changed) {
  const issued = element("div", {});
  return element(
    "section",
    { class: "panel", "aria-labelledby": "passes-title" },
    element("h2", { id: "passes-title" }, "Passes"),
    element(
      "p",
      { class: "hint" },
      "A pass is an invitation: it gives a visitor one place in line, with a priority. Anyone who has the link can use it.",
    ),
    issueForm(queueId, async (answer) => {
      fill(issued, issuedPasses(queueId, answer));
      await changed();
    }),
    issued,
    revokeForm(queueId, changed),
  );
}

const textInput = (name, value = "", mode = "text") =>
  element("input", {
    ...{ type: "text", name, value, inputmode: mode },
    ...{ autocomplete: "off", spellcheck: "false", autocapitalize: "none" },
  });

function issueForm(queueId, issued) {
  const priority = labelled(
    "Priority of the places",
    element(
      "select",
      {},
      ["0, the lowest", "1", "2", "3, the highest"].map((name, value) => element("option", { value }, name)),
    ),
  );
  const subject = labelled(
    "Visitor’s name",
    textInput("subject"),
    "Each name gets one place. If you issue several passes, a number is added to the name of each. Without a name, each pass gets a random one.",
  );
  subject.input.maxLength = 200;
  const expires = spanField("Valid for", 86400);
  const amount = labelled(
    "How many passes",
    textInput("count", "1", "numeric"),
    `Up to ${count(MOST_AT_ONCE)}. For more, use the command wr pass issue.`,
  );
  const uses = labelled(
    "Uses of each",
    textInput("uses", "1", "numeric"),
    "How many places it gives, one after the other. 0: no limit.",
  );
  const trouble = element("p", { class: "form-error", role: "alert" });
  const submit = element("button", { class: "primary", type: "submit" }, "Issue passes");
  const form = element(
    "form",
    { class: "small-form", novalidate: true, autocomplete: "off", "aria-label": "Issue passes" },
    element("div", { class: "form-grid" }, priority.node, subject.node, expires.node, amount.node, uses.node),
    trouble,
    element("div", { class: "actions" }, submit),
  );
  const numbers = [
    ["count", amount, { kind: "integer", least: 1 }],
    ["uses", uses, { kind: "integer", least: 0 }],
  ];
  const fields = { subject, count: amount, uses };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (submit.hasAttribute("aria-busy")) return;
    const wish = {
      priority: Number(priority.input.value),
      subject: subject.input.value.trim(),
      expires_in: Number(expires.input.value),
    };
    for (const field of Object.values(fields)) field.showError("");
    write(trouble, "");
    for (const [name, field, kind] of numbers) {
      const { value, error } = readInput(kind, field.input.value);
      const wrong = error || (name === "count" && value > MOST_AT_ONCE && `It must be at most ${count(MOST_AT_ONCE)}.`);
      if (wrong) {
        field.showError(wrong);
        field.input.focus();
        return;
      }
      wish[name] = value;
    }
    submit.setAttribute("aria-busy", "true");
    try {
      await issued(await issuePasses(queueId, wish));
    } catch (error) {
      if (error instanceof Left) return;
      const field = fields[String(error.field).replace(/^\$\./, "")];
      if (field) {
        field.showError(error.message);
        field.input.focus();
      } else write(trouble, error.message);
    } finally {
      submit.removeAttribute("aria-busy");
    }
  });
  return form;
}

/** The links of new passes: to copy, or to download as a table. They are not shown again. */
function issuedPasses(queueId, answer) {
  const { passes, expires_at: expires } = answer;
  const id = newId("links");
  const links = element("textarea", {
    id,
    rows: Math.min(6, passes.length + 1),
    readonly: true,
    wrap: "off",
    spellcheck: "false",
  });
  links.value = passes.map((each) => each.link).join("\n");
  const what = passes.length === 1 ? "1 pass" : `${count(passes.length)} passes`;
  say(`${what} issued, valid until ${moment(new Date(expires))}.`);

  async function copy() {
    links.select();
    try {
      await navigator.clipboard.writeText(links.value);
      say("Copied.");
    } catch {
      // Browsers allow clipboard access only to pages over HTTPS, and to localhost.
      links.focus();
      say("Selected: copy it with Ctrl+C or ⌘C.");
    }
  }
  function download() {
    const address = URL.createObjectURL(new Blob([csvText(answer)], { type: "text/csv" }));
    element("a", { href: address, download: `${queueId}-passes.csv` }).click();
    URL.revokeObjectURL(address);
  }
  return element(
    "div",
    { class: "field" },
    element("label", { for: id }, passes.length === 1 ? "The link" : `The ${count(passes.length)} links`),
    links,
    element("p", { class: "hint" }, "They are shown only once: copy or download them before you leave this page."),
    element(
      "div",
      { class: "actions start" },
      element("button", { type: "button", onclick: copy }, passes.length === 1 ? "Copy the link" : "Copy the links"),
      element("button", { type: "button", onclick: download }, "Download as CSV"),
    ),
  );
}

/** Passes as a CSV table (RFC 4180). */
export function csvText({ passes, expires_at: expires }) {
  const rows = passes.map((each) => HEADER.map((name) => (name === "expires_at" ? expires : each[name])));
  const cell = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  return [HEADER, ...rows].map((row) => `${row.map(cell).join(",")}\n`).join("");
}

function revokeForm(queueId, changed) {
  const passId = labelled(
    "Id of the pass",
    textInput("pass_id"),
    "The id is in the list of passes; it is not the link.",
  );
  passId.input.maxLength = 256;
  const submit = element("button", { class: "danger", type: "submit" }, "Revoke…");
  const form = element(
    "form",
    { class: "small-form", novalidate: true, autocomplete: "off", "aria-label": "Revoke a pass" },
    passId.node,
    element("div", { class: "actions" }, submit),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const id = passId.input.value.trim();
    passId.showError(id ? "" : "Enter the id of a pass.");
    if (!id) {
      passId.input.focus();
      return;
    }
    const blocking = blockingFields("person");
    const revoked = await confirm({
      title: "Revoke this pass?",
      text: [
        `The pass ${id} stops working, and the last place or session that it gave is ended. This cannot be undone.`,
      ],
      action: "Revoke the pass",
      isDanger: true,
      reason: "Reason",
      fields: blocking.nodes,
      run: (reason) => revokePass(queueId, { pass_id: id, ...(reason && { reason }), ...blocking.wish() }),
    });
    if (!revoked) return;
    passId.input.value = "";
    say(
      revoked.place_ended
        ? "The pass is revoked, and its place is ended."
        : "The pass is revoked. It had no place.",
    );
    await changed();
  });
  return form;
}
