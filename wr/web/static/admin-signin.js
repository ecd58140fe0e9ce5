/** The sign-in form: the admin key, and the operator's name for the audit trail. */

import { Left, Refused, signIn } from "./admin-api.js";
import { element, labelled, write } from "./admin-dom.js";

/**
 * The form.
 * @param {string} notice why the form is shown; may be empty
 * @param {(answer: object) => void} onSignedIn called with the first list of queues
 */
export function signInView(notice, onSignedIn) {
  const key = labelled(
    "Admin key",
    element("input", {
      type: "password",
      name: "admin-key",
      autocomplete: "off",
      spellcheck: "false",
      autocapitalize: "none",
      required: true,
    }),
    "The server printed it when it first started. It is also in the file admin-key in the data folder.",
  );
  const name = labelled(
    "Your name (optional)",
    element("input", {
      type: "text",
      name: "operator",
      autocomplete: "name",
      maxlength: "64",
      spellcheck: "false",
    }),
    "It is recorded with the changes that you make. It is not verified.",
  );
  const trouble = element("p", { class: "form-error", role: "alert" }, notice);
  const submit = element("button", { class: "primary", type: "submit" }, "Sign in");
  const form = element(
    "form",
    { class: "panel sign-in", novalidate: true },
    element("h1", { tabindex: "-1" }, "Sign in"),
    element("p", {}, "This console is for operators."),
    trouble,
    key.node,
    name.node,
    element("div", { class: "actions" }, submit),
    element(
      "p",
      { class: "hint" },
      "The key is kept only in the memory of this page. If you close or reload the page, you need to sign in again.",
    ),
  );

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    key.showError("");
    write(trouble, "");
    if (!key.input.value.trim()) return reject("Enter the admin key.");
    submit.setAttribute("aria-busy", "true");
    try {
      onSignedIn(await signIn(key.input.value.trim(), name.input.value.trim()));
    } catch (error) {
      if (error instanceof Left) return;
      if (error instanceof Refused && error.status === 403)
        reject("This is not the admin key of this server.");
      else write(trouble, waitingText(error));
    } finally {
      submit.removeAttribute("aria-busy");
    }
  });
  function reject(message) {
    key.showError(message);
    key.input.select();
    key.input.focus();
  }
  return { title: "Sign in", node: form, focus: key.input };
}

function waitingText(error) {
  return error.retryAfter ? `${error.message}. Try again in ${error.retryAfter} s.` : error.message;
}
