/** Blocks of a queue: list them, end one, and add one for an address or a user id. */

import { Left, addBlock, endBlock, listBlocks } from "./admin-api.js";
import { say } from "./admin-dialogs.js";
import { element, fill, labelled, write } from "./admin-dom.js";
import { moment } from "./admin-formats.js";

const SPANS = [
  [900, "15 minutes"],
  [3600, "1 hour"],
  [7200, "2 hours"],
  [43200, "12 hours"],
  [86400, "1 day"],
  [604800, "7 days"],
  [2592000, "30 days"],
];

/** A field to choose a time span. Its value is in seconds. `first` are additional choices at the top. */
export function spanField(label, usual, first = []) {
  const options = [...first, ...SPANS].map(([seconds, name]) =>
    element("option", { value: seconds, selected: seconds === usual }, name),
  );
  return labelled(label, element("select", {}, options));
}

/**
 * Fields for dialogs that remove a visitor: how long to block the visitor, and what to block.
 * @param {"person"|"address"|"both"} usual
 * @returns {{nodes: Node[], wish: () => object}} `wish` returns the fields for the API; none without a block
 */
export function blockingFields(usual) {
  const span = spanField("Keep the visitor out for", 0, [[0, "do not keep out: the visitor may join again"]]);
  const scopes = [
    ["person", "the person"],
    ["address", "the address"],
    ["both", "the person and the address"],
  ];
  const scope = labelled(
    "What to keep out",
    element(
      "select",
      {},
      scopes.map(([value, name]) => element("option", { value, selected: value === usual }, name)),
    ),
    "Many people can share one address: in a school, in an office, on a mobile network.",
  );
  scope.node.hidden = true;
  span.input.addEventListener("change", () => {
    scope.node.hidden = span.input.value === "0";
  });
  return {
    nodes: [span.node, scope.node],
    wish: () =>
      span.input.value === "0" ? {} : { block_for: Number(span.input.value), block: scope.input.value },
  };
}

/**
 * The panel with the blocks of a queue.
 * @param {string} queueId
 * @param {() => Promise<void>} changed called after each change
 */
export function blocksPanel(queueId, changed) {
  const title = element("h2", { id: "blocks-title", tabindex: "-1" }, "Blocks");
  const list = element("ul", { class: "trail" });
  const note = element("p", { class: "hint", role: "status" }, "Loading…");
  const again = element("button", { type: "button", onclick: () => now() }, "Refresh the blocks");

  async function now() {
    try {
      const { blocks } = await listBlocks(queueId);
      fill(list, ...blocks.map((block) => blockEntry(block, end)));
      write(note, blocks.length ? "" : "No blocks.");
    } catch (error) {
      if (!(error instanceof Left)) write(note, `The blocks could not be loaded: ${error.message}.`);
    }
  }
  async function end(block) {
    try {
      await endBlock(queueId, block.id);
      say(`The block of ${block.of} has ended.`);
    } catch (error) {
      if (error instanceof Left) return;
      say(`${error.message}.`);
    }
    await Promise.all([now(), changed()]);
    // The pressed button no longer exists, so the focus moves to the title.
    title.focus();
  }
  now();
  const form = addForm(queueId, async () => {
    await Promise.all([now(), changed()]);
  });
  const node = element(
    "section",
    { class: "panel", "aria-labelledby": "blocks-title" },
    element("div", { class: "heading" }, title, again),
    element("p", { class: "hint" }, "A block stops a visitor from joining. It does not end a place or a session."),
    note,
    list,
    form,
  );
  return { node, now };
}

function blockEntry(block, end) {
  const until = moment(new Date(block.blocked_until));
  // A block of a person consists of two: the identity, and the place, because many visitors have no identity.
  const person = block.id.startsWith("i-") ? "Place" : "Person";
  const what = block.scope === "address" ? "Address" : person;
  return element(
    "li",
    {},
    element("p", {}, element("strong", {}, what), ` ${block.of}, until ${until}`),
    element("p", { class: "hint" }, [block.reason, block.operator].filter(Boolean).join(" · ")),
    element(
      "p",
      { class: "when" },
      element(
        "button",
        { type: "button", "aria-label": `End the block of ${block.of}`, onclick: () => end(block) },
        "End",
      ),
    ),
  );
}

function addForm(queueId, added) {
  const text = (name) =>
    element("input", { type: "text", name, autocomplete: "off", spellcheck: "false", autocapitalize: "none" });
  const address = labelled("Address to block", text("address"), "For an IPv6 address, the whole /64 network is blocked.");
  const userId = labelled(
    "User id to block",
    text("user_id"),
    "The visitor’s name on passes, or the user id in calls by your site.",
  );
  const span = spanField("Blocked for", 3600);
  const reason = labelled("Why", element("input", { type: "text", maxlength: "200", autocomplete: "off" }));
  const trouble = element("p", { class: "form-error", role: "alert" });
  const submit = element("button", { class: "danger", type: "submit" }, "Block");
  const form = element(
    "form",
    { class: "small-form", novalidate: true, autocomplete: "off", "aria-label": "Block an address or a user id" },
    element("div", { class: "form-grid" }, address.node, userId.node, span.node, reason.node),
    trouble,
    element("div", { class: "actions" }, submit),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const wish = { block_for: Number(span.input.value) };
    for (const [name, field] of [
      ["address", address],
      ["user_id", userId],
      ["reason", reason],
    ]) {
      field.showError("");
      const value = field.input.value.trim();
      if (value) wish[name] = value;
    }
    write(trouble, "");
    if (!wish.address && !wish.user_id) {
      address.showError("Enter an address or a user id.");
      address.input.focus();
      return;
    }
    submit.setAttribute("aria-busy", "true");
    try {
      const { blocks } = await addBlock(queueId, wish);
      for (const field of [address, userId, reason]) field.input.value = "";
      say(`${blocks[0].of} is blocked until ${moment(new Date(blocks[0].blocked_until))}.`);
      await added();
    } catch (error) {
      if (error instanceof Left) return;
      const field = { address, user_id: userId }[error.field];
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
