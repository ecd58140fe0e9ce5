/** Confirmation dialogs, and short messages about what happened. */

import { Left } from "./admin-api.js";
import { element, fill, labelled, newId, write } from "./admin-dom.js";

/**
 * Ask for confirmation, then run the action. If it fails, the dialog stays open and shows the reason.
 * @param {object} what
 * @param {string} what.title a question
 * @param {(string|Node)[]} what.text what will happen, one paragraph each
 * @param {string} what.action text of the button
 * @param {boolean} [what.isDanger]
 * @param {string} [what.typed] text that the operator has to type first
 * @param {string} [what.reason] label of an optional reason
 * @param {Node[]} [what.fields] additional fields
 * @param {(reason: string) => Promise<any>} what.run the action
 * @returns {Promise<any>} the result of `run`; undefined if the operator cancelled
 */
export function confirm({ title, text, action, isDanger = false, typed = "", reason = "", fields = [], run }) {
  const titleId = newId("dialog");
  const typing =
    typed &&
    labelled(
      `Type ${typed} to confirm`,
      element("input", { type: "text", autocomplete: "off", spellcheck: "false", autocapitalize: "none" }),
    );
  const reasoning =
    reason &&
    labelled(
      reason,
      element("input", { type: "text", maxlength: "200", autocomplete: "off" }),
      "Optional. It is recorded with the change.",
    );
  const trouble = element("p", { class: "form-error", role: "alert" });
  const go = element("button", { class: isDanger ? "danger" : "primary", type: "submit" }, action);
  const cancel = element("button", { type: "button" }, "Cancel");
  const form = element(
    "form",
    { novalidate: true, autocomplete: "off" },
    element("h2", { id: titleId }, title),
    text.map((paragraph) => element("p", {}, paragraph)),
    reasoning && reasoning.node,
    fields,
    typing && typing.node,
    trouble,
    element("div", { class: "actions" }, cancel, go),
  );
  const dialog = element("dialog", { "aria-labelledby": titleId }, form);

  return new Promise((resolve) => {
    let outcome;
    let isRunning = false;
    cancel.addEventListener("click", () => dialog.close());
    dialog.addEventListener("cancel", (event) => isRunning && event.preventDefault());
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(outcome);
    });
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (isRunning) return;
      if (typing && typing.input.value.trim() !== typed) {
        typing.showError(`Type exactly ${typed}.`);
        typing.input.focus();
        return;
      }
      isRunning = true;
      go.setAttribute("aria-busy", "true");
      write(trouble, "");
      try {
        outcome = await run(reasoning ? reasoning.input.value.trim() : "");
        dialog.close();
      } catch (error) {
        if (error instanceof Left) dialog.close();
        else write(trouble, error.message);
      } finally {
        isRunning = false;
        go.removeAttribute("aria-busy");
      }
    });
    document.body.append(dialog);
    dialog.showModal();
    (typing ? typing.input : reasoning ? reasoning.input : cancel).focus();
  });
}

let fading = 0;

/** Show a message for a few seconds. Screen readers read it out. */
export function say(message) {
  const place = document.getElementById("said");
  clearTimeout(fading);
  fill(place, element("p", {}, message));
  fading = setTimeout(() => fill(place), 8000);
}

/** Let screen readers read out a text that is already on the page. */
export function announce(message) {
  write(document.getElementById("announced"), message);
}
