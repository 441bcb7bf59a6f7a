// What goes wrong in a request that a script made is shown above the page; the page, and what was typed in it, stays.
import { openDialog } from "./panels.js";

const place = () => document.getElementById("problems");

const element = (name, className, text) => {
  const made = document.createElement(name);
  made.className = className;
  if (text) made.textContent = text;
  return made;
};

const show = (title, detail, { requestId = "", wait = 0 } = {}) => {
  const note = element("div", "toast-note toast-bad");
  note.dataset.toast = "";
  const words = element("div", "toast-words");
  words.append(element("strong", "", title));
  if (detail) words.append(element("p", "", detail));
  if (wait) {
    const line = element("p", "", "Try again in ");
    const count = element("span", "", String(wait));
    count.dataset.countdown = String(wait);
    line.append(count, " seconds.");
    words.append(line);
  }
  if (requestId) {
    const line = element("p", "request-id", "Request ");
    line.append(element("code", "", requestId));
    words.append(line);
  }
  const close = element("button", "btn-quiet btn-icon", "×");
  close.type = "button";
  close.dataset.dismiss = "";
  close.setAttribute("aria-label", "Dismiss");
  note.append(words, close);
  place()?.replaceChildren(note);
};

const FROM_GATEWAY = {
  413: "What was sent is larger than this system accepts. Nothing you typed is lost.",
  429: "You are asking a little too fast. Nothing you typed is lost.",
  502: "The pages can’t be reached just now. Nothing you typed is lost.",
  503: "The pages can’t be reached just now. Nothing you typed is lost.",
  504: "There was no answer in time. Look before you repeat a change.",
};

document.addEventListener("htmx:response:error", (event) => {
  const { ctx } = event.detail;
  const { status, headers } = ctx.response;
  if ((status === 401 || status === 403) && ctx.hx?.trigger) return; // "sign-in-again" or "form-is-older" does it
  if (ctx.sourceElement?.hasAttribute(`hx-status:${status}`) && headers.get("content-type")?.startsWith("text/html")) return;
  const wait = Number(headers.get("retry-after")) || 0;
  let requestId = headers.get("x-request-id") ?? "";
  let title = "That didn’t work";
  let detail = FROM_GATEWAY[status] ?? "Nothing you typed is lost.";
  if (headers.get("content-type")?.startsWith("text/html")) {
    const page = new DOMParser().parseFromString(ctx.text ?? "", "text/html");
    title = page.querySelector(".fault-message h1")?.textContent ?? title;
    detail = page.querySelector(".fault-message p")?.textContent ?? detail;
    requestId = page.querySelector(".request-id code")?.textContent ?? requestId;
  }
  show(title, detail, { requestId, wait });
});

// Statuses that a form asks for with hx-status are only swapped when they come from the UI, not from what stands before it.
document.addEventListener("htmx:before:swap", (event) => {
  const { ctx } = event.detail;
  const type = ctx?.response?.headers?.get("content-type") ?? "text/html";
  if (ctx?.response?.status >= 400 && !type.startsWith("text/html")) event.preventDefault();
});

document.addEventListener("htmx:error", (event) => {
  if (event.detail.ctx?.response) return;
  show("No connection", "The pages can’t be reached. Nothing you typed is lost: try again in a moment.");
});

document.addEventListener("htmx:before:request", () => place()?.replaceChildren());

document.addEventListener("sign-in-again", () => {
  if (openDialog("sign-in-again")) window.htmx.trigger("#again-form", "again", {}, false);
});

// Whoever was signed in is asked for the password alone.
document.addEventListener("htmx:after:swap", () => {
  const username = document.getElementById("again-username");
  if (username && !username.value) username.value = document.getElementById("sign-in-again").dataset.username;
});

const renew = (csrf) => {
  for (const input of document.querySelectorAll('input[name="csrf"]')) input.value = csrf;
};

document.addEventListener("form-is-older", (event) => {
  renew(event.detail.csrf);
  show("Not saved yet", "You have signed in anew since this page was opened. What you typed is still here: save once more.");
});

document.addEventListener("signed-in-again", (event) => {
  renew(event.detail.csrf);
  document.getElementById("sign-in-again")?.close();
  document.querySelector("[data-save] .form-foot .btn-primary")?.focus();
});

setInterval(() => {
  for (const count of document.querySelectorAll("[data-countdown]")) {
    const left = Math.max(0, Number(count.dataset.countdown) - 1);
    count.dataset.countdown = String(left);
    count.textContent = String(left);
  }
}, 1000);

// Leaving a form that holds unsaved changes is asked about.
const changed = new WeakSet();
let leaving = false;
document.addEventListener("input", (event) => {
  const form = event.target instanceof Element ? event.target.closest("form[data-keep]") : null;
  if (form) changed.add(form);
});
document.addEventListener("submit", (event) => {
  if (event.target instanceof Element && event.target.matches("form[data-keep]")) leaving = true;
});
document.addEventListener("htmx:finally:request", (event) => {
  leaving = Boolean(event.detail.ctx?.hx?.redirect);
});
window.addEventListener("beforeunload", (event) => {
  const form = document.querySelector("form[data-keep]");
  if (form && changed.has(form) && !leaving) event.preventDefault();
});
