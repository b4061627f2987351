"""LoRaWAN frames and uplink messages for scenarios, encoded a second time here, independently of the exchange."""
import hashlib
import struct

JOIN_REQUEST, JOIN_ACCEPT, UNCONFIRMED_UP, UNCONFIRMED_DOWN, CONFIRMED_UP, CONFIRMED_DOWN = range(6)


def data_frame(dev_addr, f_cnt=1, f_port=1, payload=b"\x42", mtype=UNCONFIRMED_UP, f_opts=b"", mic=b"\x01\x02\x03\x04"):
    """PHYPayload of a data frame; f_port None: no FPort and no FRMPayload."""
    body = struct.pack("<BIBH", mtype << 5, dev_addr, len(f_opts), f_cnt & 0xFFFF) + f_opts
    if f_port is not None:
        body += bytes([f_port]) + payload
    return body + mic


def join_request(join_eui, dev_eui, dev_nonce=1, mic=b"\x01\x02\x03\x04"):
    return struct.pack("<BQQH", 0, join_eui, dev_eui, dev_nonce) + mic


def teaser(pb, phy):
    """Teaser of a frame, as a careful forwarder makes it."""
    out = pb.v3.PHYPayloadTeaser(hash=hashlib.sha256(phy[:-4]).digest(), length=len(phy))
    mtype = phy[0] >> 5
    if mtype == JOIN_REQUEST:
        join_eui, dev_eui, nonce = struct.unpack("<QQH", phy[1:19])
        out.join_request.join_eui, out.join_request.dev_eui, out.join_request.dev_nonce = join_eui, dev_eui, nonce
        return out
    dev_addr, f_ctrl, f_cnt = struct.unpack("<IBH", phy[1:8])
    f_opts_len = f_ctrl & 0x0F
    rest = phy[8 + f_opts_len:-4]
    mac = out.mac
    mac.confirmed, mac.dev_addr, mac.f_cnt, mac.f_opts = mtype == CONFIRMED_UP, dev_addr, f_cnt, f_opts_len > 0
    if rest:
        mac.f_port, mac.frm_payload_length = rest[0], len(rest) - 1
    return out


def uplink(pb, phy, gateway="gw-1", token=b"\x0a\x0btoken", rssi=-80.0, snr=7.5, location=(45.19, 5.72), sf=7):
    """UplinkMessage with all that a terrestrial gateway can tell."""
    message = pb.v3.UplinkMessage(
        phy_payload=pb.v3.UplinkMessage.PHYPayload(teaser=teaser(pb, phy), plain=phy),
        gateway_region=pb.v3.Region.Value("EU_863_870"), frequency=868100000, gateway_uplink_token=token,
        gateway_id=pb.v3.GatewayIdentifier(plain=gateway))
    message.data_rate.lora.spreading_factor = sf
    message.data_rate.lora.bandwidth = 125000
    message.data_rate.lora.coding_rate = "4/5"
    message.forwarder_receive_time.GetCurrentTime()
    message.gateway_metadata.teaser.terrestrial.fine_timestamp = False
    antenna = message.gateway_metadata.plain_signal_quality.terrestrial.antennas.add(index=0)
    antenna.value.channel_rssi, antenna.value.snr = rssi, snr
    if location is not None:
        place = message.gateway_metadata.plain_localization.terrestrial.antennas.add(index=0)
        place.location.latitude, place.location.longitude = location
        place.signal_quality.channel_rssi, place.signal_quality.snr = rssi, snr
    return message
