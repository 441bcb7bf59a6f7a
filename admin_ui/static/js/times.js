// Times come in UTC and are shown in the reader's own zone.
// They are written as the days beside them are.
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const twoDigits = (number) => String(number).padStart(2, "0");
const format = (moment) =>
  `${moment.getDate()} ${MONTHS[moment.getMonth()]} ${moment.getFullYear()}, ` +
  `${twoDigits(moment.getHours())}:${twoDigits(moment.getMinutes())}`;
const localise = () => {
  for (const time of document.querySelectorAll("time[data-moment]")) {
    const moment = new Date(time.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    time.title = time.textContent;
    time.textContent = format(moment);
    time.removeAttribute("data-moment");
  }
};
localise();
document.addEventListener("htmx:after:swap", localise);
